import t from 'tap'
import { isFault } from '../../src/domain/fault.ts'
import type { Intent } from '../../src/domain/intent.ts'
import type { Model, Snapshot } from '../../src/domain/routes.ts'
import { callersOf } from '../../src/identify/caller.ts'
import { findModel, identify } from '../../src/identify/identify.ts'
import { recognize } from '../../src/identify/recognize.ts'
import { PROTOCOLS } from '../../src/protocols/index.ts'
import { openInference } from '../../src/protocols/open-inference/index.ts'
import { raw } from '../../src/protocols/raw/index.ts'
import { type ModelParts, makeHead, makeModel } from '../support/make-model.ts'

const BODY = Buffer.from('{"inputs":[],"parameters":{"user_id":"from-body"}}')

function routesOf(...models: readonly Model[]): Snapshot {
  return { models: new Map(models.map((model) => [model.name, model])) } as unknown as Snapshot
}

function ask(parts: ModelParts, fields: Record<string, string> = {}, version: string | null = null) {
  const model = makeModel(parts)
  const match = { scope: 'model', model: model.name, version, operation: 'infer', rest: '' } as const
  const head = makeHead({ fields })
  const question = {
    head,
    body: BODY,
    protocol: openInference,
    match,
    routes: routesOf(model),
    arrivedAt: 1000,
    requestId: 'id-1',
  }
  return identify(question, model)
}

const intentOf = (answer: ReturnType<typeof ask>): Intent => {
  if (isFault(answer)) throw new Error(`refused: ${answer.code} ${answer.message}`)
  return answer
}
const codeOf = (answer: ReturnType<typeof ask>) => (isFault(answer) ? answer.code : 'accepted')

t.test('the sticky key is the first of the chain that is present and not empty', async (t) => {
  const key: ModelParts['key'] = [
    { from: 'header', name: 'x-user-id' },
    { from: 'body', pointer: '/parameters/user_id' },
    { from: 'client' },
  ]
  t.same(intentOf(ask({ key }, { 'x-user-id': 'u9' })).key, { source: 'header:x-user-id', value: 'u9' })
  const fromBody = { source: 'body:/parameters/user_id', value: 'from-body' }
  t.same(intentOf(ask({ key })).key, fromBody)
  t.same(intentOf(ask({ key }, { 'x-user-id': '' })).key, fromBody, 'an empty header is no key')
  t.same(intentOf(ask({ key: [{ from: 'body', pointer: '/none' }, { from: 'client' }] })).key, {
    source: 'client',
    value: '192.0.2.7',
  })
  const last = { source: 'random', value: 'id-1' }
  t.same(intentOf(ask({ key: [{ from: 'header', name: 'none' }] })).key, last, 'nothing present: by chance')
})

t.test(
  'callers are told apart by the first source that is present, and by their address where none is',
  async (t) => {
    const limit = { index: 0, name: 'l', requests: 1, perMs: 1000, burst: 1 }
    const rates: ModelParts['rates'] = [
      { ...limit, by: [{ from: 'header', name: 'x-api-key' }, { from: 'client' }] },
      { ...limit, by: [{ from: 'body', pointer: '/parameters/user_id' }] },
      { ...limit, by: [{ from: 'header', name: 'x-none' }] },
    ]
    const callersIn = (fields = {}) => intentOf(ask({ rates }, fields)).callers.rates
    t.same(callersIn({ 'x-api-key': 'k' }), [
      'header:x-api-key\u0000k',
      'body:/parameters/user_id\u0000from-body',
      'client\u0000192.0.2.7',
    ])
    t.equal(callersIn({ 'x-api-key': '' })[0], 'client\u0000192.0.2.7', 'an empty header is no name')
    const spoofed = callersIn({ 'x-api-key': '192.0.2.7' })[0]
    t.not(spoofed, callersIn()[0], 'a header cannot pass for an address')
    t.same(intentOf(ask({}, { 'x-api-key': 'k' })).callers, { rates: [], idempotency: '', cache: '' })
  },
)

t.test('what is kept for a caller is kept for its credentials, whatever it is told apart by', async (t) => {
  const by = [{ from: 'client' }] as const
  const settings = { ttlMs: 1, bytesMax: 1, by, vary: [], shared: false }
  const callersIn = (fields: Record<string, string>, shared = false) =>
    intentOf(ask({ idempotency: settings, cache: { ...settings, shared } }, fields)).callers
  const all = [{}, { authorization: 'a' }, { authorization: 'b' }, { cookie: 'a' }, { 'x-api-key': 'a' }]
  t.equal(new Set(all.map((fields) => callersIn(fields).cache)).size, all.length)
  t.equal(new Set(all.map((fields) => callersIn(fields).idempotency)).size, all.length)
  t.equal(callersIn({ 'x-trace': '1' }).cache, callersIn({}).cache)
  const twice = (second: string) => {
    const head = makeHead({ headers: ['x-api-key', 'a', 'x-api-key', second] })
    return callersOf(makeModel({ cache: settings }), head, { places: { pointers: [], paths: [] }, found: [] })
      .cache
  }
  t.not(twice('b'), twice('c'), 'a second value counts, too')
  t.same(new Set(all.map((fields) => callersIn(fields, true).cache)), new Set(['']))
})

t.test(
  'an idempotency key is read as the draft writes it, or bare, where the model knows such keys',
  async (t) => {
    const settings = { ttlMs: 1, bytesMax: 1, by: [] }
    const keyIn = (value: string) =>
      intentOf(ask({ idempotency: settings }, { 'idempotency-key': value })).idempotencyKey
    t.equal(keyIn('8e03978e-40d5-43dd-bc93-6894a57f9324'), '8e03978e-40d5-43dd-bc93-6894a57f9324')
    t.equal(keyIn('"a b"'), 'a b')
    t.equal(keyIn('"a \\"b\\" \\\\"'), 'a "b" \\')
    t.equal(keyIn('"half'), '"half', 'what is no quoted string is taken as it is')
    t.equal(intentOf(ask({}, { 'idempotency-key': 'a' })).idempotencyKey, null)
    t.equal(intentOf(ask({ idempotency: settings })).idempotencyKey, null)
    for (const bad of ['', '""', 'a'.repeat(256), 'ä', 'a\tb']) {
      t.equal(codeOf(ask({ idempotency: settings }, { 'idempotency-key': bad })), 'malformed-request', bad)
    }
  },
)

t.test('a pin needs a version that exists and a model that allows it', async (t) => {
  const open = { route: { pinAllowed: true } }
  t.equal(intentOf(ask(open, { 'modelgate-pin': 'v2' })).pin, 'v2')
  t.equal(intentOf(ask(open, {}, 'v2')).pin, 'v2', 'the path pins too')
  t.equal(codeOf(ask(open, { 'modelgate-pin': 'v9' })), 'unknown-version')
  t.equal(codeOf(ask({}, { 'modelgate-pin': 'v2' })), 'pin-not-allowed')
  t.equal(codeOf(ask({}, { 'modelgate-pin': '__proto__' })), 'unknown-version')
})

t.test('the caller’s deadline counts from receipt', async (t) => {
  const at = (fields: Record<string, string>) => intentOf(ask({}, fields)).deadlineAt
  t.equal(at({}), Number.POSITIVE_INFINITY)
  t.equal(at({ 'modelgate-deadline-ms': '250' }), 1250)
  t.equal(at({ 'grpc-timeout': '2S' }), 3000)
  t.equal(at({ 'grpc-timeout': '100m', 'modelgate-deadline-ms': '7' }), 1007)
  t.equal(codeOf(ask({}, { 'modelgate-deadline-ms': '-1' })), 'malformed-request')
  t.equal(codeOf(ask({}, { 'modelgate-deadline-ms': '1e3' })), 'malformed-request')
  t.equal(codeOf(ask({}, { 'grpc-timeout': '5' })), 'malformed-request')
})

t.test('a trace id is taken from a valid traceparent only', async (t) => {
  const trace = (traceparent: string) => intentOf(ask({}, { traceparent })).traceId
  const id = '4bf92f3577b34da6a3ce929d0e0e4736'
  t.equal(trace(`00-${id}-00f067aa0ba902b7-01`), id)
  t.equal(trace(`00-${id}-0000000000000000-01`), '')
  t.equal(trace(`00-${'0'.repeat(32)}-00f067aa0ba902b7-01`), '')
  t.equal(trace('nonsense'), '')
})

t.test('an unknown model is named, with the nearest one when it looks like a slip', async (t) => {
  const routes = routesOf(makeModel({ name: 'fraud' }), makeModel({ name: 'other', protocol: 'raw' }))
  const find = (name: string) => {
    const match = { scope: 'model', model: name, version: null, operation: 'infer', rest: '' } as const
    const found = findModel({ match, protocol: openInference, routes, head: makeHead({}), body: BODY })
    return isFault(found) ? `${found.code}: ${found.message}` : found.name
  }
  t.equal(find('fraud'), 'fraud')
  t.equal(find('fruad'), "unknown-model: no model 'fruad' is configured here; did you mean 'fraud'?")
  t.equal(find('zzzzzzzz'), "unknown-model: no model 'zzzzzzzz' is configured here")
  t.equal(find('other'), "unknown-model: model 'other' speaks raw, not open-inference")
  t.match(find('x'.repeat(5000)), /^.{0,140}$/, 'long names are clipped')
  t.match(find('constructor'), /^unknown-model/)
})

t.test('the first dialect that knows the path answers, and nobody’s path is nobody’s', async (t) => {
  const at = (path: string) => recognize(makeHead({ path, target: path }), PROTOCOLS, routesOf())
  t.equal(at('/v2/models/m/infer').protocol, openInference)
  t.equal(at('/models/m/x').protocol, raw)
  t.match(at('/elsewhere'), { protocol: null, fault: { code: 'unknown-path' } })
})

t.test(
  'of two dialects with one path the named model’s own answers, else one that is spoken here',
  async (t) => {
    const chat = makeModel({ name: 'chat', protocol: 'openai' })
    const rows = makeModel({ name: 'rows', protocol: 'kserve-v1' })
    const at = (path: string, ...models: Model[]) => {
      const found = recognize(makeHead({ method: 'GET', path, target: path }), PROTOCOLS, routesOf(...models))
      const says = 'fault' in found ? found.fault.code : found.match.scope
      return `${found.protocol?.name} ${says}`
    }
    t.equal(at('/v1/models/chat', chat, rows), 'openai server')
    t.equal(at('/v1/models/rows', chat, rows), 'kserve-v1 model')
    t.equal(at('/v1/models/none', chat, rows), 'openai unknown-model', 'the first in the list')
    t.equal(
      at('/v1/models/none', rows),
      'kserve-v1 model',
      'its own refusal comes when the model is looked for',
    )
    t.equal(at('/v1/models/constructor', chat), 'openai unknown-model')
    t.equal(at('/v1/models', rows), 'kserve-v1 server')
    t.equal(at('/v1/models', chat, rows), 'openai server')
    t.equal(at('/v1/models/a/b', rows), 'kserve-v1 unknown-path')
    t.equal(at('/v1/models/a/b', chat), 'openai unknown-model')
    t.equal(at('/v1/models/chat:predict', chat), 'kserve-v1 method-not-allowed')
    t.equal(at('/v1/responses', chat, rows), 'openai unknown-path')
  },
)
