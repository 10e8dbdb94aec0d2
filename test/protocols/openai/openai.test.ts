/** The OpenAI API's dialect: paths, the model in the body, names, the error shape, values of plain answers. */
import { equal, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { FAULTS, type FaultCode, fault, isFault } from '../../../src/domain/fault.ts'
import type { RemoteVersion } from '../../../src/domain/routes.ts'
import { openai } from '../../../src/protocols/openai/index.ts'
import { cpuMsOf } from '../../support/cpu-time.ts'
import { makeHead, makeRemoteVersion } from '../../support/make-model.ts'

const JSON_HEAD = makeHead({ fields: { 'content-type': 'application/json; charset=utf-8' } })
const RENAMED = makeRemoteVersion(1, { rename: { model: 'org/theirs', version: null } })

t.test('its paths are recognized, and what it does not serve is told', async (t) => {
  const at = (method: string, target: string) => {
    const [path = '', query = ''] = target.split('?')
    return openai.recognize(makeHead({ method, path, query, target }))
  }
  const post = { scope: 'model', model: null, version: null, operation: 'infer' }
  t.same(at('POST', '/v1/chat/completions?a=b'), { ...post, rest: '/v1/chat/completions?a=b' })
  t.same(at('POST', '/v1/embeddings'), { ...post, rest: '/v1/embeddings' })
  t.same(at('GET', '/v1/models'), { scope: 'server', ask: 'models' })
  t.same(at('HEAD', '/v1/models/'), { scope: 'server', ask: 'models' })
  t.same(at('GET', '/v1/models/gpt-x'), { scope: 'server', ask: 'model', model: 'gpt-x' })
  t.match(at('GET', '/v1/chat/completions'), { code: 'method-not-allowed', headers: ['allow', 'POST'] })
  t.match(at('DELETE', '/v1/models/m'), { code: 'method-not-allowed', headers: ['allow', 'GET, HEAD'] })
  for (const path of ['/v1', '/v1/', '/v1/responses', '/v1/chat/completions/x', '/v1/files']) {
    t.match(at('POST', path), { code: 'unknown-path', message: /chat\/completions/ }, path)
  }
  t.equal(at('POST', '/v1/models/m:predict'), undefined, 'a verb is another dialect’s')
  t.equal(at('GET', '/v10/x'), undefined)
})

t.test(
  'the model is the one that every reader of the body will find, or the request is refused',
  async (t) => {
    const model = (text: string | Buffer, head = JSON_HEAD) => {
      const found = openai.modelIn!(head, Buffer.from(text as string))
      return isFault(found) ? `${found.code}: ${found.message}` : found
    }
    t.equal(model('{"model":"gpt"}'), 'gpt')
    t.equal(model(' {"messages":[{"model":"inner"}], "model" : "g\\u0070t" } '), 'gpt')
    t.equal(model('{"mo\\u0064el":"gpt"}'), 'gpt', 'however the key is written')
    t.equal(model('{"model":""}'), '')
    t.match(model('{"messages":[]}'), /^malformed-request: the body must name/)
    t.match(model('{"Model":"gpt"}'), /^malformed-request: the body must name/)
    for (const value of ['1', 'null', '["gpt"]', '{}', 'true']) {
      t.match(model(`{"model":${value}}`), /^malformed-request: "model" must be a string/, value)
    }
    for (const twice of [
      '{"model":"a","model":"b"}',
      '{"model":"a","model":"a"}',
      '{"model":"a","x":{},"mode\\u006c":"b"}',
      '{"model":"a","Model":"b"}',
      '{"MODEL":"b","model":"a"}',
    ]) {
      t.match(model(twice), /^malformed-request: .* twice/, twice)
    }
    for (const text of ['', '{"model":"a"', '{"model":"a"}}', "{'model':'a'}", '\uFEFF{"model":"a"}']) {
      t.match(model(text), /^malformed-json/, text)
    }
    t.match(model(Buffer.from('{"model":"a\xff"}', 'latin1')), /^malformed-json: .* UTF-8/)
    t.match(model('["model"]'), /^malformed-request/)
    t.match(
      model('{"model":"a"}', makeHead({ fields: { 'content-type': 'text/plain' } })),
      /^unsupported-media/,
    )
    t.match(model('{"model":"a"}', makeHead({})), /^unsupported-media/)
    const gzip = makeHead({ fields: { 'content-type': 'application/json', 'content-encoding': 'gzip' } })
    t.match(model('{"model":"a"}', gzip), /^unsupported-media/)
  },
)

t.test('of any document, the model found is the one that JSON.parse finds', async (t) => {
  const keys = fc.constantFrom('model', 'Model', 'mode', 'models', 'x')
  const inner = fc.jsonValue({ maxDepth: 2 })
  const documents = fc.dictionary(keys, fc.oneof(fc.string(), inner), { maxKeys: 4 })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(documents, fc.nat(4), (document, indent) => {
        const found = openai.modelIn!(JSON_HEAD, Buffer.from(JSON.stringify(document, null, indent)))
        if (typeof document.model === 'string' && document.Model === undefined) equal(found, document.model)
        else ok(isFault(found))
      }),
      { numRuns: 1000 },
    ),
  )
})

t.test('a body of a million fields takes its reader no longer than its proof', async (t) => {
  const body = Buffer.from(`{${'"a":1,'.repeat(1_000_000)}"model":"m"}`)
  const ms = cpuMsOf(() => t.equal(openai.modelIn!(JSON_HEAD, body), 'm'))
  t.ok(ms < 1_000, `${ms} ms for 6 MB`)
})

t.test('a sticky key is found in the body, and a form that the caller chose is noticed', async (t) => {
  const identify = (text: string) => {
    const reading = openai.identify('infer', JSON_HEAD, Buffer.from(text), [['user'], ['metadata', 'id']])
    return isFault(reading) ? reading.code : reading
  }
  t.match(identify('{"model":"m","user":"u1","metadata":{"id":7}}'), {
    values: ['u1', '7'],
    jsonLength: -1,
    selectsOutputs: false,
  })
  t.match(identify('{"model":"m","user":null}'), { values: [undefined, undefined] })
  t.match(identify('{"model":"m","tools":[]}'), { selectsOutputs: true })
  t.match(identify('{"model":"m","encoding_format":"base64"}'), { selectsOutputs: true })
  t.equal(identify('{"user":"u1"}'), 'malformed-request')
})

t.test('the model is renamed where it stands, both ways, and nothing else changes', async (t) => {
  const prepare = (text: string, version = RENAMED) => {
    const body = Buffer.from(text)
    const unread = preparing(Buffer.from(text), version)
    openai.identify('infer', JSON_HEAD, body, [])
    const read = preparing(body, version)
    t.same(read.text, unread.text, 'whether the body was read before or not')
    return read
  }
  const preparing = (body: Buffer, version: RemoteVersion) => {
    const errand = { method: 'POST', model: 'fraud', operation: 'infer', headers: [], body } as const
    const request = openai.prepare({ ...errand, rest: '/v1/embeddings?x=1' }, version)
    return { ...request, text: Buffer.from(request.body).toString(), same: request.body === body }
  }
  t.match(prepare('{"model":"fraud"}', makeRemoteVersion(1)), { same: true, target: '/v1/embeddings?x=1' })
  t.match(prepare('{"n": 1.0,\t"model" :"fraud", "input":["model"]}'), {
    text: '{"n": 1.0,\t"model" :"org/theirs", "input":["model"]}',
    same: false,
  })
  t.match(prepare('{"a":{"model":"x"},"mod\\u0065l":"fr\\u0061ud","b":[{"model":"y"}]}'), {
    text: '{"a":{"model":"x"},"mod\\u0065l":"org/theirs","b":[{"model":"y"}]}',
  })
  t.equal(
    prepare('{"model":"fraud"}', makeRemoteVersion(1, { rename: { model: 'fraud', version: null } })).same,
    true,
  )
  const answer = {
    status: 200,
    headers: ['content-length', '9'],
    body: Buffer.from('{"id":1,"model":"x-2024","c":[{"model":"x"}]}'),
  }
  const renamed = openai.renameAnswer!(answer, RENAMED)
  t.equal(Buffer.from(renamed.body).toString(), '{"id":1,"model":"fraud","c":[{"model":"x"}]}')
  const nameless = { status: 400, headers: [], body: Buffer.from('{"error":{}}') }
  t.equal(openai.renameAnswer!(nameless, RENAMED), nameless)
})

t.test('faults are told in the API’s words where it has one', async (t) => {
  const told = (code: FaultCode) =>
    JSON.parse(Buffer.from(openai.explain(fault(code, 'words')).body).toString()).error
  t.same(told('unknown-model'), {
    message: 'words',
    type: 'invalid_request_error',
    param: 'model',
    code: 'model_not_found',
  })
  t.match(told('malformed-json'), { type: 'invalid_request_error', param: null, code: 'malformed-json' })
  t.match(told('unknown-path'), { type: 'invalid_request_error', code: 'unknown_url' })
  t.match(told('pin-not-allowed'), { type: 'permission_error' })
  t.match(told('overloaded'), { type: 'overloaded_error', code: 'overloaded' })
  t.match(told('first-byte-timeout'), { type: 'timeout_error' })
  t.match(told('connect-refused'), { type: 'server_error', code: 'connect-refused' })
  for (const code of Object.keys(FAULTS) as FaultCode[]) t.match(told(code).type, /_error$/, code)
})

t.test('values of a plain answer are found by pointer, embeddings as numbers or packed', async (t) => {
  const read = (body: unknown, ...pointers: string[]) =>
    openai.readAnswer(
      { status: 200, headers: ['content-type', 'application/json'], body: Buffer.from(JSON.stringify(body)) },
      pointers.map((pointer) => pointer.slice(1).split('/')),
    )
  const chat = {
    choices: [{ message: { content: 'hello' }, finish_reason: 'stop' }],
    usage: { total_tokens: 9 },
  }
  t.same(read(chat, '/choices/0/message/content', '/usage/total_tokens', '/choices/1/x'), [
    'hello',
    9,
    undefined,
  ])
  const floats = [0.5, -1.25, 3, 1e-3]
  const packed = Buffer.from(Float32Array.from(floats).buffer).toString('base64')
  const pointers = floats.map((_, index) => `/data/1/embedding/${index}`)
  const data = (embedding: unknown) => ({ data: [{ embedding: 'AA' }, { embedding }] })
  t.same(read(data(floats), ...pointers), floats)
  t.same(read(data(packed), ...pointers), floats.map(Math.fround))
  t.same(read(data(packed), '/data/1/embedding/4', '/data/0/embedding/0', '/data/1/embedding/01'), [
    undefined,
    undefined,
    undefined,
  ])
})
