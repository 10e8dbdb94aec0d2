/** Laws every wire dialect obeys, run over the registry. */
import { deepEqual, equal } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { FAULTS, type FaultCode, fault, isFault } from '../../src/domain/fault.ts'
import { PROTOCOLS } from '../../src/protocols/index.ts'
import type { Match, Protocol } from '../../src/protocols/protocol.ts'
import { makeHead, makeRemoteVersion } from '../support/make-model.ts'

interface Sample {
  readonly method: string
  readonly target: string
  /** Where the dialect reads bodies: one that it takes. */
  readonly body?: string
}

const infer = (target: string): Sample => ({ method: 'POST', target, body: '{"inputs":[]}' })
const chat = (target: string): Sample => ({ method: 'POST', target, body: '{"model":"fraud","user":"me"}' })
const get = (target: string): Sample => ({ method: 'GET', target })

/** For each dialect: requests it must recognize, each naming model `fraud`. */
const OWN: Readonly<Record<string, readonly Sample[]>> = {
  'open-inference': [
    infer('/v2/models/fraud/infer'),
    infer('/v2/models/fraud/versions/v2/infer?x=1'),
    get('/v2/models/fraud'),
    get('/v2/models/fraud/versions/v2'),
    get('/v2/models/fraud/ready'),
  ],
  openai: [
    chat('/v1/chat/completions'),
    chat('/v1/completions'),
    chat('/v1/embeddings?api-version=1'),
    get('/v1/models/fraud'),
  ],
  'kserve-v1': [
    infer('/v1/models/fraud:predict'),
    infer('/v1/models/fraud:explain?x=1'),
    get('/v1/models/fraud'),
  ],
  raw: [
    get('/models/fraud'),
    { method: 'POST', target: '/models/fraud/score/now?x=1&y', body: 'no JSON' },
    { method: 'DELETE', target: '/models/fraud/' },
  ],
}

/** A path of two dialects: the model that is named decides (identify/recognize.ts). */
const SHARED: ReadonlySet<string> = new Set(['/v1/models', '/v1/models/fraud'])
const JSON_TYPE = { 'content-type': 'application/json' }

const headOf = ({ method, target }: Sample) => {
  const [path = '', query = ''] = target.split('?')
  return makeHead({ method, target, path, query, fields: JSON_TYPE })
}

/** What of the corpus reaches a model. */
function modelMatches(protocol: Protocol) {
  return (OWN[protocol.name] ?? []).flatMap((sample) => {
    const match = protocol.recognize(headOf(sample))
    if (match === undefined || isFault(match) || match.scope !== 'model') return []
    return [{ sample, match, body: Buffer.from(sample.body ?? '') }]
  })
}

function nameIn(protocol: Protocol, match: Match, sample: Sample): unknown {
  if (!('model' in match)) return undefined
  return match.model ?? protocol.modelIn?.(headOf(sample), Buffer.from(sample.body ?? ''))
}

/** Lines of event streams, right and wrong, with every kind of line end between them; and noise. */
const line = fc.constantFrom(
  'data: {"model":"theirs","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}',
  'data:{"choices":[{"delta":{},"finish_reason":"stop"}],"model" : "theirs"}',
  'data: {"model":"theirs","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}',
  'data: {"model":',
  'data: "theirs"}',
  'data: {"error":{"message":"no"}}',
  'data: [DONE]',
  'event: error',
  ': ping',
  'data',
  '\uFEFFdata: {}',
  '',
  '',
)
const lineEnd = fc.constantFrom('\n', '\r', '\r\n')
const streams = fc.oneof(
  fc
    .array(fc.tuple(line, lineEnd), { maxLength: 16 })
    .map((lines) => Buffer.from(lines.map((pair) => pair.join('')).join(''))),
  fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
)

function piecesOf(bytes: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  const ends = [...places, bytes.length]
  return ends.map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end))
}

for (const protocol of PROTOCOLS) {
  t.test(`${protocol.name} recognizes its own paths and nobody else does`, async (t) => {
    for (const sample of OWN[protocol.name] ?? []) {
      const match = protocol.recognize(headOf(sample))
      t.notOk(match === undefined || isFault(match), `${sample.method} ${sample.target}`)
      if (match !== undefined && !isFault(match)) t.equal(nameIn(protocol, match, sample), 'fraud')
      for (const other of PROTOCOLS) {
        if (other === protocol || SHARED.has(sample.target)) continue
        t.equal(other.recognize(headOf(sample)), undefined, `${other.name}: ${sample.target}`)
      }
    }
    t.ok((OWN[protocol.name] ?? []).length > 0, 'the corpus has paths of this dialect')
  })

  t.test(
    `${protocol.name} answers a method that a path does not have, and paths it does not know`,
    async (t) => {
      for (const sample of OWN[protocol.name] ?? []) {
        const match = protocol.recognize(headOf({ ...sample, method: 'PATCH' }))
        if (protocol.name === 'raw') t.notOk(isFault(match), 'any method is its own')
        else t.match(match, { code: 'method-not-allowed', headers: ['allow', String] }, sample.target)
      }
      t.equal(protocol.recognize(headOf(get('/nobody'))), undefined)
    },
  )

  t.test(`${protocol.name} explains every fault in a body that is JSON and holds the message`, async (t) => {
    for (const code of Object.keys(FAULTS) as FaultCode[]) {
      const { contentType, body } = protocol.explain(fault(code, 'exact words', 'inner detail'))
      t.match(contentType, /^application\/(problem\+)?json$/)
      const text = Buffer.from(body).toString()
      t.match(JSON.stringify(JSON.parse(text)), /exact words/, code)
      t.notMatch(text, /inner detail/, 'what stays inside is not told')
      const last = Buffer.from(protocol.breakOff(fault(code, 'exact words', 'inner detail'))).toString()
      t.notMatch(last, /inner detail/)
      if (last !== '')
        t.match(last, /^\n\ndata: \{.*exact words.*\}\n\n$/, 'one event, whatever came before it')
    }
  })

  t.test(
    `${protocol.name} sends the body on untouched, and method, path and query of the same request`,
    async (t) => {
      for (const { sample, match } of modelMatches(protocol)) {
        const { method, target } = sample
        const { operation, rest } = match
        const body = Buffer.from([0, 1, 2, 255])
        const errand = { method, model: 'fraud', operation, rest, headers: ['a', 'b'], body }
        const request = protocol.prepare(errand, makeRemoteVersion(1))
        t.equal(request.body, body, 'the same bytes, not a copy')
        t.equal(request.method, method)
        t.same(request.headers, ['a', 'b'])
        t.match(request.target, /^\//)
        t.equal(request.target.split('?')[1], target.split('?')[1], 'the query')
        if (protocol.name !== 'raw')
          t.equal(request.target.replace('/versions/v2', ''), target.replace('/versions/v2', ''))
      }
    },
  )

  t.test(`${protocol.name} takes its own bodies, and never throws for another`, async (t) => {
    const bodies = ['', '{', '[]', '{}', '{"model":1}', '\uFEFF{}', '{"inputs":[],"model":"fraud"}', '\x00']
    for (const { sample, match, body } of modelMatches(protocol)) {
      const reading = protocol.identify(match.operation, headOf(sample), body, [['user']])
      t.notOk(isFault(reading), sample.target)
      for (const text of [...bodies.map((text) => Buffer.from(text)), Buffer.from([0x22, 0xff, 0x22])]) {
        const other = protocol.identify(match.operation, headOf(sample), text, [['user']])
        if (isFault(other)) t.match(other.code, /^malformed-(json|request)$/)
        else t.equal(other.values.length, 1)
      }
    }
  })

  t.test(`${protocol.name} reads scalars of an answer, and undefined where there is nothing`, async (t) => {
    const body = Buffer.from('{"a":[1,"x",true,null,{},9007199254740993]}')
    const at = (token: string) => ['a', token]
    const answer = { status: 200, headers: ['content-type', 'application/json'], body }
    const wanted = ['0', '1', '2', '3', '4', '6'].map(at)
    t.same(protocol.readAnswer(answer, wanted), [1, 'x', true, null, null, undefined])
    t.same(protocol.readExact(answer, [at('5')]), [9007199254740993n], 'for comparisons, every digit')
    t.same(protocol.readAnswer({ ...answer, body: Buffer.from('<html>') }, [at('0')]), [undefined])
  })

  t.test(
    `${protocol.name} follows a stream the same however it is cut, and changes names alone`,
    async (t) => {
      const head = { status: 200, headers: ['content-type', 'text/event-stream'], bodyBytes: -1 }
      const follow = (rename: string | null, pieces: readonly Uint8Array[]) => {
        const tap = protocol.tap(head, makeRemoteVersion(1, { rename: { model: rename, version: null } }))
        const passed = pieces.map((piece) => Buffer.from(tap === null ? piece : tap.push(piece)))
        const rest = tap?.rest() ?? new Uint8Array(0)
        return {
          passed,
          whole: Buffer.concat([...passed, rest]),
          summary: tap?.summary(),
          awaits: tap?.awaitsContent,
        }
      }
      t.doesNotThrow(() =>
        fc.assert(
          fc.property(streams, fc.array(fc.nat(), { maxLength: 12 }), (bytes, cuts) => {
            const pieces = piecesOf(bytes, cuts)
            const watched = follow(null, pieces)
            deepEqual(watched.whole, bytes, 'nothing is added or dropped')
            let left = 0
            for (const [index, passed] of watched.passed.entries()) {
              left += passed.length
              const soFar = Buffer.concat(pieces.slice(0, index + 1))
              const unseen = follow(null, [soFar]).passed[0]!.length
              equal(left, unseen, 'what has left by then is the same, however it came')
              if (/(\n\n|\r\r|\r\n\r\n)$/.test(soFar.toString('latin1')))
                equal(left, soFar.length, 'an event leaves in the push that finished it')
            }
            const once = follow('theirs', [bytes])
            const renamed = follow('theirs', pieces)
            deepEqual(renamed.whole, once.whole, 'the same output')
            deepEqual(renamed.summary, once.summary)
            deepEqual(watched.summary, once.summary, 'watched or renamed, it says the same')
            equal(renamed.awaits, once.awaits)
            equal(once.whole.toString('latin1').replaceAll('fraud', 'theirs'), bytes.toString('latin1'))
          }),
          { numRuns: 400 },
        ),
      )
      const gzip = { ...head, headers: [...head.headers, 'content-encoding', 'gzip'] }
      t.equal(protocol.tap(gzip, makeRemoteVersion(1)), null, 'what cannot be read is passed on unseen')
    },
  )

  t.test(
    `${protocol.name} tells how a stream ended where it follows one, whatever its bytes are`,
    async (t) => {
      const told = (body: Buffer, ...headers: string[]) => protocol.endOf({ status: 200, headers, body })
      const type = ['content-type', 'text/event-stream']
      const head = { status: 200, headers: type, bodyBytes: -1 }
      const follows = protocol.tap(head, makeRemoteVersion(1)) !== null
      t.doesNotThrow(() =>
        fc.assert(fc.property(streams, (bytes) => equal(told(bytes, ...type) !== null, follows))),
      )
      t.equal(told(Buffer.from('{}'), 'content-type', 'application/json'), null)
      t.equal(told(Buffer.from('data: [DONE]\n\n'), ...type, 'content-encoding', 'gzip'), null)
    },
  )

  t.test(`${protocol.name} renames what it can read, and nothing else`, async (t) => {
    const { renameAnswer } = protocol
    if (renameAnswer === null) {
      t.pass('it knows no names')
      return
    }
    const version = makeRemoteVersion(1, { rename: { model: 'theirs', version: null } })
    const names = '{"id":"theirs","model":"theirs","model_name":"theirs","ready":true,"name":"theirs"}'
    const renamed = renameAnswer({ status: 200, headers: [], body: Buffer.from(names) }, version)
    t.match(Buffer.from(renamed.body).toString(), /"fraud"/)
    t.match(Buffer.from(renamed.body).toString(), /^\{"id":"theirs",/)
    const gzip = { status: 200, headers: ['content-encoding', 'gzip'], body: Buffer.from(names) }
    t.equal(renameAnswer(gzip, version), gzip)
    const html = { status: 200, headers: [], body: Buffer.from('<html>') }
    t.equal(Buffer.from(renameAnswer(html, version).body).toString(), '<html>')
  })
}
