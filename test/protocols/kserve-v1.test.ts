/** KServe's V1 dialect: paths, bodies, names, and its error shape. */
import t from 'tap'
import { fault, isFault } from '../../src/domain/fault.ts'
import { kserveV1 } from '../../src/protocols/kserve-v1/index.ts'
import { makeHead, makeRemoteVersion } from '../support/make-model.ts'

const at = (method: string, path: string, query = '') =>
  kserveV1.recognize(makeHead({ method, path, query, target: query === '' ? path : `${path}?${query}` }))

t.test('its four paths are recognized, and what is near them is told apart', async (t) => {
  t.same(at('GET', '/v1/models'), { scope: 'server', ask: 'models' })
  const model = { scope: 'model', model: 'm', version: null }
  t.same(at('GET', '/v1/models/m'), { ...model, operation: 'ready', rest: '' })
  t.same(at('HEAD', '/v1/models/m'), { ...model, operation: 'ready', rest: '' })
  t.same(at('POST', '/v1/models/m:predict', 'a=b'), { ...model, operation: 'infer', rest: ':predict?a=b' })
  const path = '/v1/models/m:predict'
  const empty = kserveV1.recognize(makeHead({ method: 'POST', path, query: '', target: `${path}?` }))
  t.match(empty, { rest: ':predict?' }, 'an empty query is one, too')
  t.same(at('POST', '/v1/models/m:explain'), { ...model, operation: 'infer', rest: ':explain' })
  t.match(at('GET', '/v1/models/m:predict'), { code: 'method-not-allowed', headers: ['allow', 'POST'] })
  t.match(at('POST', '/v1/models/m'), { code: 'method-not-allowed', headers: ['allow', 'GET, HEAD'] })
  for (const path of ['/v1/models/m:classify', '/v1/models/:predict', '/v1/models/m/versions/1:predict']) {
    t.match(at('POST', path), { code: 'unknown-path' }, path)
  }
  t.equal(at('POST', '/v1/modelsx'), undefined)
  t.equal(at('POST', '/v1/chat/completions'), undefined)
})

t.test('a body has a list of instances, or inputs in any form', async (t) => {
  const identify = (text: string | Buffer, fields: Record<string, string> = {}) => {
    const reading = kserveV1.identify('infer', makeHead({ fields }), Buffer.from(text as string), [['user']])
    return isFault(reading) ? reading.code : (reading.values[0] ?? 'taken')
  }
  t.equal(identify('{"instances":[[1,2],[3,4]]}'), 'taken')
  t.equal(identify('{"instances":[],"user":"u1"}'), 'u1')
  t.equal(identify('{"instances":[],"user":12.50}'), '12.50', 'a number as it is written')
  t.equal(identify('{"inputs":{"a":[1]}}'), 'taken')
  t.equal(identify('{"inputs":[1],"signature_name":"x"}', { 'content-type': 'application/json' }), 'taken')
  for (const text of ['{}', '[]', '{"instances":1}', '{"instances":{},"inputs":[]}', '"instances"']) {
    t.equal(identify(text), 'malformed-request', text)
  }
  for (const text of ['', '{"instances":[1,]}', '{"instances":[NaN]}', Buffer.from([0x22, 0x80, 0x22])]) {
    t.equal(identify(text), 'malformed-json')
  }
  t.equal(identify('{"instances":[]}', { 'content-type': 'text/plain' }), 'unsupported-media-type')
  t.equal(identify('{"instances":[]}', { 'content-encoding': 'gzip' }), 'unsupported-media-type')
})

t.test(
  'the endpoint is addressed by its own name, and tells ours when it is asked whether it is ready',
  async (t) => {
    const version = makeRemoteVersion(1, { rename: { model: 'theirs', version: null } })
    const body = Buffer.from('{"instances":[]}')
    const errand = { method: 'POST', model: 'fraud', headers: [], body }
    const target = (operation: 'infer' | 'ready', rest: string) =>
      kserveV1.prepare({ ...errand, operation, rest }, version).target
    t.equal(target('infer', ':predict?x'), '/v1/models/theirs:predict?x')
    t.equal(target('ready', ''), '/v1/models/theirs')
    const renamed = (text: string) => {
      const answer = { status: 200, headers: [], body: Buffer.from(text) }
      return Buffer.from(kserveV1.renameAnswer!(answer, version).body).toString()
    }
    t.equal(renamed('{"name": "theirs","ready" :true}'), '{"name": "fraud","ready" :true}')
    for (const own of [
      '{"predictions":[{"name":"theirs"}]}',
      '{"name":"theirs","predictions":[],"ready":true}',
    ]) {
      t.equal(renamed(own), own, 'what a model predicts is its own')
    }
  },
)

t.test('a fault is V1’s error object, and values of an answer are found by pointer', async (t) => {
  const { body } = kserveV1.explain(fault('unknown-model', 'no such model'))
  t.same(JSON.parse(Buffer.from(body).toString()), { error: 'no such model' })
  const answer = { status: 200, headers: [], body: Buffer.from('{"predictions":[[0.25],{"label":"cat"}]}') }
  t.same(kserveV1.readAnswer(answer, [['predictions', '0', '0'], ['predictions', '1', 'label'], ['x']]), [
    0.25,
    'cat',
    undefined,
  ])
})
