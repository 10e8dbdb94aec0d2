import t from 'tap'
import { isFault } from '../../src/domain/fault.ts'
import type { Answer } from '../../src/domain/outcome.ts'
import { openInference } from '../../src/protocols/open-inference/index.ts'
import { raw } from '../../src/protocols/raw/index.ts'
import { cpuMsOf } from '../support/cpu-time.ts'
import { makeHead, makeRemoteVersion } from '../support/make-model.ts'

const BODY =
  '{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}],"parameters":{"user_id":"u1","n":7}}'
const WANTED = [
  ['parameters', 'user_id'],
  ['parameters', 'n'],
  ['parameters', 'none'],
]

function identify(
  body: string | Buffer,
  fields: Record<string, string> = { 'content-type': 'application/json' },
) {
  return openInference.identify('infer', makeHead({ fields }), Buffer.from(body), WANTED)
}

function refusal(body: string | Buffer, fields?: Record<string, string>): string {
  const reading = identify(body, fields)
  return isFault(reading) ? `${reading.code}: ${reading.message}` : 'accepted'
}

t.test('an infer body is proven and the wanted values are read from it', async (t) => {
  t.same(identify(BODY), { values: ['u1', '7', undefined], jsonLength: -1, selectsOutputs: false })
  t.same(
    identify(BODY, {}),
    { values: ['u1', '7', undefined], jsonLength: -1, selectsOutputs: false },
    'no content type is JSON',
  )
})

t.test('with the binary extension only the JSON part is read', async (t) => {
  const body = Buffer.concat([Buffer.from(BODY), Buffer.from([0xff, 0xfe, 0x00])])
  const fields = {
    'content-type': 'application/octet-stream',
    'inference-header-content-length': String(BODY.length),
  }
  t.same(identify(body, fields), {
    values: ['u1', '7', undefined],
    jsonLength: BODY.length,
    selectsOutputs: false,
  })
  t.match(refusal(body, { ...fields, 'inference-header-content-length': '999' }), /^malformed-request/)
  t.match(refusal(body, { ...fields, 'inference-header-content-length': '-1' }), /^malformed-request/)
  t.match(refusal(body, { 'content-type': 'application/octet-stream' }), /^unsupported-media-type/)
})

t.test('a caller that names its outputs is told from one that takes them all', async (t) => {
  const selects = (outputs: string, operation: 'infer' | 'metadata' = 'infer') => {
    const body = Buffer.from(BODY.replace('{"inputs"', `{"outputs":${outputs},"inputs"`))
    const reading = openInference.identify(operation, makeHead({ fields: {} }), body, WANTED)
    return !isFault(reading) && [reading.selectsOutputs, reading.values[0]]
  }
  t.same(selects('[{"name":"y"}]'), [true, 'u1'])
  t.same(selects(' [ {"name":"y"} , {"name":"z"} ] '), [true, 'u1'])
  for (const none of ['[]', '[ ]', 'null', '{}', '"y"']) t.same(selects(none), [false, 'u1'], none)
  t.same(selects('[{"name":"y"}]', 'metadata'), [false, undefined])
  const nested = identify(BODY.replace('"n":7', '"n":7,"outputs":[1]'))
  t.match(nested, { selectsOutputs: false }, 'only at the top')
  const head = makeHead({ fields: {} })
  t.match(raw.identify('call', head, Buffer.from('{"outputs":[1]}'), []), { selectsOutputs: false })
})

t.test(
  'what is not a well-formed infer request is refused with the place and what was expected',
  async (t) => {
    t.equal(
      refusal('{"inputs": [1, }'),
      'malformed-json: the body is not valid JSON: expected a JSON value at byte 15',
    )
    t.match(refusal(''), /^malformed-json/)
    t.match(refusal(Buffer.from([0x22, 0xff, 0x22])), /^malformed-json: the body is not valid UTF-8/)
    t.match(refusal('[]'), /^malformed-request: expected a JSON object with "inputs"/)
    t.match(refusal('{"inputs":{}}'), /^malformed-request/)
    t.match(refusal(BODY, { 'content-type': 'text/plain' }), /^unsupported-media-type/)
    t.match(refusal(BODY, { 'content-type': 'application/x-www-form-urlencoded' }), /^unsupported-media-type/)
    t.match(refusal(BODY, { 'content-encoding': 'gzip' }), /^unsupported-media-type/)
    t.equal(refusal(BODY, { 'content-type': 'Application/JSON; charset=utf-8' }), 'accepted')
  },
)

t.test('paths: server questions, unknown ones and wrong methods', async (t) => {
  const recognize = (method: string, path: string) =>
    openInference.recognize(makeHead({ method, path, target: path }))
  t.same(recognize('GET', '/v2'), { scope: 'server', ask: 'metadata' })
  t.same(recognize('GET', '/v2/health/live'), { scope: 'server', ask: 'live' })
  t.same(recognize('HEAD', '/v2/health/ready'), { scope: 'server', ask: 'ready' })
  t.match(recognize('GET', '/v2/models/m/infer'), { code: 'method-not-allowed', headers: ['allow', 'POST'] })
  t.match(recognize('POST', '/v2/models/m'), { code: 'method-not-allowed', headers: ['allow', 'GET, HEAD'] })
  t.match(recognize('POST', '/v2/models/m/generate'), { code: 'unknown-path' })
  t.match(recognize('POST', '/v2/models//infer'), { code: 'unknown-path' })
  const long = recognize('POST', `/v2/${'x'.repeat(10_000)}`)
  t.ok(isFault(long) && long.message.length < 300, 'a long path is not repeated whole')
  t.equal(recognize('POST', '/v2x'), undefined)
})

t.test('rename addresses the endpoint by its own names', async (t) => {
  const errand = {
    method: 'POST',
    model: 'fraud',
    operation: 'infer',
    rest: '',
    headers: [],
    body: Buffer.alloc(0),
  } as const
  const target = (model: string | null, version: string | null) =>
    openInference.prepare(errand, makeRemoteVersion(1, { rename: { model, version } })).target
  t.equal(target(null, null), '/v2/models/fraud/infer')
  t.equal(target('other', null), '/v2/models/other/infer')
  t.equal(target('other', '7'), '/v2/models/other/versions/7/infer')
})

t.test('output checks read binary tensors as well as JSON', async (t) => {
  const header = Buffer.from(
    JSON.stringify({
      outputs: [
        { name: 'a', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } },
        { name: 'b', datatype: 'INT64', shape: [1], data: [5] },
        { name: 'c', datatype: 'INT64', shape: [1], parameters: { binary_data_size: 8 } },
      ],
    }),
  )
  const floats = Buffer.alloc(16)
  floats.writeFloatLE(0.25, 0)
  floats.writeFloatLE(Number.NaN, 4)
  floats.writeBigInt64LE(-3n, 8)
  const headers = ['inference-header-content-length', String(header.length)]
  const answer = { status: 200, headers, body: Buffer.concat([header, floats]) }
  const at = (output: string, element: string) => ['outputs', output, 'data', element]
  const wanted = [
    at('0', '0'),
    at('0', '1'),
    at('1', '0'),
    at('2', '0'),
    at('0', '2'),
    at('9', '0'),
    at('0', '-1'),
  ]
  t.same(openInference.readAnswer(answer, wanted), [0.25, Number.NaN, 5, -3, undefined, undefined, undefined])
  const cut = { ...answer, body: answer.body.subarray(0, header.length + 4) }
  t.same(openInference.readAnswer(cut, [at('0', '0')]), [undefined], 'a truncated tensor has no values')
})

t.test('what an endpoint says of its tensors is believed only as far as it can be true', async (t) => {
  const answerWith = (sizes: readonly string[], declared?: string) => {
    const outputs = sizes.map(
      (size) => `{"name":"o","datatype":"FP32","parameters":{"binary_data_size":${size}}}`,
    )
    const json = Buffer.from(`{"outputs":[${outputs.join(',')}]}`)
    const headers = ['inference-header-content-length', declared ?? String(json.length)]
    return { status: 200, headers, body: Buffer.concat([json, Buffer.alloc(64)]) }
  }
  const read = (answer: Answer, output = '1', element = '0') =>
    openInference.readAnswer(answer, [['outputs', output, 'data', element]])[0]
  t.equal(read(answerWith(['4', '4'])), 0)
  for (const size of ['-8', '-1000000', '0.5', '1e400', '9007199254740993', '"4"', 'null', '{}', '1e300']) {
    t.equal(read(answerWith([size, '4'])), undefined, `after a tensor of ${size} bytes`)
    t.equal(read(answerWith(['4', size])), undefined, `a tensor of ${size} bytes`)
  }
  t.equal(read(answerWith(['4', '100'])), undefined, 'longer than the body')
  t.equal(read(answerWith(['4', '4']), '1', '01'), undefined, 'no index of a JSON pointer')
  t.equal(read(answerWith(['4', '4']), '1', '4294967296'), undefined)
  for (const length of ['-1', '1e1', '', ' 5', '99999999999', '9999']) {
    t.equal(read(answerWith(['4', '4'], length)), undefined, `a JSON length of '${length}'`)
  }
  const many = answerWith(Array.from({ length: 20_000 }, () => '0'))
  const ms = cpuMsOf(() => t.equal(read(many, '255'), undefined))
  t.ok(ms < 1_000, `a long list of outputs is read in one pass: ${ms} ms`)
})

t.test('V2 passes a query on as it came, an empty one too', async (t) => {
  const path = '/v2/models/m/versions/7/infer'
  for (const query of ['', '?', '??', '?a=%2F']) {
    const target = `${path}${query}`
    const match = openInference.recognize(makeHead({ method: 'POST', target, path, query: query.slice(1) }))
    t.match(match, { model: 'm', version: '7', operation: 'infer', rest: query }, target)
  }
})

t.test('raw passes the rest of the path and the query as they came', async (t) => {
  const rest = (target: string) => {
    const path = target.split('?')[0]!
    const match = raw.recognize(makeHead({ method: 'GET', target, path }))
    return match !== undefined && !isFault(match) && match.scope === 'model' ? match.rest : undefined
  }
  t.equal(rest('/models/m/a%20b//c?q=%2F&r'), '/a%20b//c?q=%2F&r')
  t.equal(rest('/models/m'), '/')
  t.equal(rest('/models/m?x=1'), '/?x=1')
  t.equal(rest('/models/'), undefined)
})

t.test(
  'an endpoint’s own names are replaced by ours where they stand, and nothing else changes',
  async (t) => {
    const version = makeRemoteVersion(1, { name: 'v2', rename: { model: 'other', version: '7' } })
    const rename = (text: string, headers: readonly string[] = []) => {
      const answer = openInference.renameAnswer!({ status: 200, headers, body: Buffer.from(text) }, version)
      return { text: Buffer.from(answer.body).toString(), headers: answer.headers }
    }
    const outputs = '"outputs" : [ {"name":"model_name","data":[1.0, 2e0]} ]'
    t.equal(
      rename(`{ "model_version":"7",  "model_name": "other",${outputs}}`).text,
      `{ "model_version":"v2",  "model_name": "fraud",${outputs}}`,
    )
    t.equal(rename(`{${outputs}}`).text, `{${outputs}}`, 'names that are not there are not added')
    t.equal(rename('{"name":"other","versions":["7"]}').text, '{"name":"fraud","versions":["7"]}', 'metadata')
    t.equal(rename('<html>').text, '<html>')
    const json = '{"model_name":"somebody","outputs":[]}'
    const binary = rename(`${json}BYTES`, ['inference-header-content-length', String(json.length)])
    t.equal(binary.text, '{"model_name":"fraud","outputs":[]}BYTES')
    t.same(
      binary.headers,
      ['inference-header-content-length', String(json.length - 3)],
      'the JSON is shorter now',
    )
    const gzip = ['content-encoding', 'gzip']
    t.equal(
      rename('{"model_name":"other"}', gzip).text,
      '{"model_name":"other"}',
      'what cannot be read is passed on',
    )
  },
)
