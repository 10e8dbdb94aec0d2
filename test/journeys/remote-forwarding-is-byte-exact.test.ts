import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { tensorOf } from '../support/ask.ts'
import { PATIENT } from '../support/patient.ts'
import { RawClient, rawRequest } from '../support/raw-client.ts'
import { decisionOf } from '../support/read-records.ts'
import {
  answering,
  plainAnswer,
  type ReceivedRequest,
  type Script,
  ScriptedUpstream,
} from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

/** An endpoint that keeps every request it got and answers each with the next of the answers, then the last again. */
async function stage() {
  const requests: ReceivedRequest[] = []
  let answers: readonly (string | Uint8Array)[] = []
  const script: Script = async (connection) => {
    for (;;) {
      requests.push(await connection.request())
      connection.send(answers[Math.min(requests.length, answers.length) - 1]!)
    }
  }
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  const answer = (...next: readonly (string | Uint8Array)[]) => {
    answers = next
    return { upstream, requests }
  }
  return { url: upstream.url, answer }
}

/** An endpoint for each test, behind models of its own. */
const NAMES = ['renamed', 'tensors', 'heads', 'methods', 'read', 'kept', 'large'] as const
const stages = new Map<string, Awaited<ReturnType<typeof stage>>>()
for (const name of NAMES) stages.set(name, await stage())
const endpoint = (name: (typeof NAMES)[number], ...answers: readonly (string | Uint8Array)[]) =>
  stages.get(name)!.answer(...answers)

const OK = plainAnswer(200, '{"outputs":[]}', ['content-type: application/json'])

const linesOf = ({ head }: ReceivedRequest) => head.trimEnd().split('\r\n').slice(1)
const valuesOf = (request: ReceivedRequest, name: string) =>
  linesOf(request).flatMap((line) =>
    line.toLowerCase().startsWith(`${name}: `) ? [line.slice(name.length + 2)] : [],
  )

/** Answers once, and breaks its connection when the next request comes on it. */
const once: Script = async (connection) => {
  await connection.request()
  connection.send(OK)
  await connection.request()
  connection.reset()
}
const breaking = await ScriptedUpstream.start(once, answering(OK))
t.teardown(() => breaking.close())

const model = (name: string, protocol: string, url: string, more = '') => `
[models.${name}]
protocol = "${protocol}"
${PATIENT}
[models.${name}.versions.v1]
endpoints = ["${url}"]
${more}
`
const v2 = (name: string, of: (typeof NAMES)[number], more = '') =>
  model(name, 'open-inference', stages.get(of)!.url, more)
const raw = (name: string, of: (typeof NAMES)[number]) => model(name, 'raw', stages.get(of)!.url)
const scoreUpTo = (name: string, max: number) =>
  `[models.${name}.output]\nscore = { path = "/outputs/1/data/0", type = "number", min = 0, max = ${max} }`

const gateway = await startTestGateway(t, {
  toml: [
    v2('m', 'renamed', 'rename = { model = "fraud-model", version = "7" }'),
    v2('tensors', 'tensors', scoreUpTo('tensors', 1)),
    v2('low', 'tensors', scoreUpTo('low', 0.1)),
    raw('api', 'heads'),
    raw('methods', 'methods'),
    v2('unread', 'read'),
    v2('read', 'read', '[models.read.output]\nx = { path = "/outputs/0/data/0", type = "number" }'),
    v2('kept', 'kept'),
    model('breaking', 'open-inference', breaking.url),
    raw('large', 'large'),
  ].join(''),
})

t.test('an endpoint gets the caller’s bytes under its own names, and headers it may believe', async (t) => {
  const { upstream, requests } = endpoint('renamed', OK)
  const odd =
    '{ "id" : "\\u0041",\n "inputs":[ {"name":"x","datatype":"FP32","shape":[1,1],"data":[1.50e0]} ] ,"z":1}\n'
  const told = await rawRequest(
    gateway.port,
    [
      'POST /v2/models/m/infer HTTP/1.1',
      'Host: models.example.com',
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(odd)}`,
      'Connection: keep-alive, X-Secret-Hop',
      'X-Secret-Hop: 1',
      'Keep-Alive: timeout=5',
      'TE: trailers',
      'Proxy-Authorization: Basic eDp5',
      'Upgrade: websocket',
      'X-Forwarded-For: 6.6.6.6',
      'X-Forwarded-Host: evil.example.com',
      'X-Real-IP: 6.6.6.6',
      'Forwarded: for=6.6.6.6',
      'Via: 1.0 elsewhere',
      'modelgate-request-id: 00000000-0000-7000-8000-000000000000',
      'modelgate-shadow-of: x',
      'Authorization: Bearer token',
      'X-Twice: one',
      'X-Twice: two',
      'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      '',
      odd,
    ].join('\r\n'),
  )
  t.equal(told.status, 200, told.raw.toString())
  const request = requests[0]!
  t.equal(request.method, 'POST')
  t.equal(request.target, '/v2/models/fraud-model/versions/7/infer')
  t.equal(request.body.toString(), odd, 'not one byte of the body is different')
  t.same(valuesOf(request, 'host'), [`127.0.0.1:${upstream.port}`])
  t.same(valuesOf(request, 'content-length'), [String(Buffer.byteLength(odd))])
  t.same(valuesOf(request, 'content-type'), ['application/json; charset=utf-8'])
  t.same(valuesOf(request, 'x-forwarded-for'), ['127.0.0.1'], 'what the caller claimed is replaced')
  t.same(valuesOf(request, 'x-forwarded-host'), ['models.example.com'])
  t.same(valuesOf(request, 'via'), ['1.1 modelgate'])
  t.same(valuesOf(request, 'modelgate-request-id'), [told.headers.get('modelgate-request-id')])
  t.same(valuesOf(request, 'authorization'), ['Bearer token'])
  t.same(valuesOf(request, 'x-twice'), ['one', 'two'])
  t.same(valuesOf(request, 'traceparent'), ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'])
  for (const gone of [
    'x-secret-hop',
    'keep-alive',
    'te',
    'proxy-authorization',
    'upgrade',
    'x-real-ip',
    'forwarded',
    'modelgate-shadow-of',
    'modelgate-deadline-ms',
    'modelgate-shadow',
    'transfer-encoding',
  ]) {
    t.same(valuesOf(request, gone), [], `${gone} does not cross`)
  }
  const record = await decisionOf(gateway.dataDir, told.headers.get('modelgate-request-id'))
  t.match(record, {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    request: { bodyBytes: Buffer.byteLength(odd), contentType: 'application/json; charset=utf-8' },
    attempts: [{ endpoint: upstream.url, reused: false, status: 200 }],
  })
})

t.test('binary tensors cross both ways as they are, and output checks read them', async (t) => {
  const answerJson = JSON.stringify({
    outputs: [
      { name: 'aux', datatype: 'UINT8', shape: [3], parameters: { binary_data_size: 3 } },
      { name: 'score', datatype: 'FP32', shape: [1], parameters: { binary_data_size: 4 } },
    ],
  })
  const tensors = Buffer.concat([Buffer.from([0, 255, 10]), Buffer.from(new Float32Array([0.25]).buffer)])
  const headLines = [
    'HTTP/1.1 200 OK',
    'content-type: application/octet-stream',
    `inference-header-content-length: ${answerJson.length}`,
    `content-length: ${answerJson.length + tensors.length}`,
  ]
  const answer = Buffer.concat([Buffer.from(`${headLines.join('\r\n')}\r\n\r\n${answerJson}`), tensors])
  const { requests } = endpoint('tensors', answer)
  const json = JSON.stringify({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 64], parameters: { binary_data_size: 256 } }],
  })
  const body = Buffer.concat([Buffer.from(json), Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))])
  const headers = {
    'content-type': 'application/octet-stream',
    'inference-header-content-length': String(json.length),
  }
  const told = await gateway.ask('/v2/models/tensors/infer', { body, headers })
  t.equal(told.status, 200, told.text)
  t.same(requests[0]!.body, body, 'every byte of the tensors')
  t.same(valuesOf(requests[0]!, 'inference-header-content-length'), [String(json.length)])
  t.same(told.body, Buffer.concat([Buffer.from(answerJson), tensors]))
  t.equal(told.headers['inference-header-content-length'], String(answerJson.length))
  t.equal(told.headers['content-type'], 'application/octet-stream')
  const low = await gateway.ask('/v2/models/low/infer', { body, headers })
  t.equal(low.headers['modelgate-error'], 'invalid-output', 'the check read 0.25 out of the bytes')
  t.match(low.text, /above the maximum 0\.1/)
})

t.test('a caller gets status, headers and bytes as the endpoint sent them', async (t) => {
  const zipped = gzipSync('{"outputs":[]}')
  const head = (status: string, lines: readonly string[]) =>
    `${[`HTTP/1.1 ${status}`, ...lines].join('\r\n')}\r\n\r\n`
  const { upstream, requests } = endpoint(
    'heads',
    Buffer.concat([
      Buffer.from(
        head('203 Whatever Words', [
          'Content-Type: application/x-odd; q="a, b"',
          'Content-Encoding: gzip',
          'Set-Cookie: a=1; Path=/',
          'Set-Cookie: b=2; Path=/',
          'X-Empty:',
          'X-Umlaut: gr\u00fcn',
          'Connection: keep-alive, X-Hop',
          'X-Hop: 1',
          'Keep-Alive: timeout=60',
          'Proxy-Authenticate: Basic',
          'Date: Mon, 02 Nov 2026 12:00:00 GMT',
          'Server: scripted',
          `Content-Length: ${zipped.length}`,
        ]),
      ),
      zipped,
    ]),
    head('200 OK', ['Transfer-Encoding: chunked', 'X-After: 1']) +
      '5\r\nhello\r\n3;ext=1\r\n, w\r\n4\r\norld\r\n0\r\nX-Trailer: 1\r\n\r\n',
    `${head('100 Continue', [])}${head('103 Early Hints', ['link: </x>'])}${head('200 OK', ['content-length: 2'])}ok`,
    head('204 No Content', ['x-kept: 1']),
    head('304 Not Modified', ['etag: "x"']),
    head('200 OK', ['content-length: 0']),
    `${head('299 Odd', ['content-length: 3'])}odd`,
    head('302 Found', ['location: /elsewhere', 'content-length: 0']),
    Buffer.from(head('200 OK', ['x-old: gr\u00fcn \u0080\u00ff', 'content-length: 0']), 'latin1'),
  )
  const path = '/models/api/a%20b/../c?x=1&y=%2F&&z'.replace('/..', '')
  const client = await RawClient.open(gateway.port)
  t.teardown(() => client.close())
  const get = async (method = 'GET') => {
    client.send(`${method} ${path} HTTP/1.1\r\nhost: a\r\n\r\n`)
    return client.answer()
  }
  const full = await get()
  t.equal(requests[0]!.target, '/a%20b/c?x=1&y=%2F&&z', 'path and query exactly as they came')
  t.equal(full.status, 203)
  t.same(full.body, zipped, 'compressed bytes are not touched')
  t.equal(full.headers.get('content-encoding'), 'gzip')
  t.equal(full.headers.get('content-type'), 'application/x-odd; q="a, b"')
  const text = full.raw.toString('latin1')
  t.match(
    text,
    /\r\nset-cookie: a=1; Path=\/\r\nset-cookie: b=2; Path=\/\r\n/i,
    'both cookies, not one joined',
  )
  t.match(text, /\r\nx-empty: ?\r\n/i)
  t.equal(full.headers.get('x-umlaut'), 'gr\u00fcn', 'UTF-8 in a header crosses')
  t.equal(text.match(/\r\ndate: /gi)?.length ?? 0, 1, 'one date')
  t.equal(full.headers.get('server'), 'scripted')
  for (const gone of ['x-hop', 'keep-alive', 'proxy-authenticate']) t.notOk(full.headers.has(gone), gone)
  const chunked = await get()
  t.equal(chunked.body.toString(), 'hello, world')
  t.equal(chunked.headers.get('transfer-encoding'), 'chunked', 'passed on as it comes')
  t.equal(chunked.headers.get('x-after'), '1')
  t.notOk(chunked.headers.has('x-trailer'))
  const interim = await get()
  t.equal(interim.status, 200)
  t.equal(interim.body.toString(), 'ok')
  t.notOk(interim.headers.has('link'), 'nothing of an interim answer is in the final one')
  const none = await get()
  t.equal(none.status, 204)
  t.equal(none.headers.get('x-kept'), '1')
  t.notOk(none.headers.has('content-length'), 'RFC 9110 §8.6: no Content-Length in a 204')
  const unchanged = await get()
  t.equal(unchanged.status, 304)
  t.equal(unchanged.headers.get('etag'), '"x"')
  t.equal((await get()).body.length, 0)
  const odd = await get()
  t.equal(odd.status, 299)
  t.equal(odd.body.toString(), 'odd')
  const moved = await get()
  t.equal(moved.status, 302, 'a redirect is the caller’s to follow')
  t.equal(moved.headers.get('location'), '/elsewhere')
  t.match(
    (await get()).raw.toString('latin1'),
    /\r\nx-old: gr\u00fcn \u0080\u00ff\r\n/,
    'bytes of any encoding',
  )
  t.equal(requests.length, 9, 'all of it on one connection of the caller')
  t.equal(upstream.connectionCount, 1, 'and on one to the endpoint')
})

t.test('HEAD gets the head that GET would get, and any other method its body', async (t) => {
  const { requests } = endpoint(
    'methods',
    'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1234\r\n\r\n',
    plainAnswer(200, 'put'),
    plainAnswer(200, 'patched'),
    plainAnswer(200, 'deleted'),
    plainAnswer(204, ''),
  )
  const client = await RawClient.open(gateway.port)
  t.teardown(() => client.close())
  client.send('HEAD /models/methods/big HTTP/1.1\r\nhost: a\r\n\r\n')
  const head = await client.answer()
  t.equal(head.status, 200)
  t.equal(head.headers.get('content-length'), '1234', 'the length that GET would have')
  t.equal(head.headers.get('content-type'), 'text/plain')
  client.send('PUT /models/methods/x HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody')
  t.equal((await client.answer()).body.toString(), 'put', 'nothing of a body came after HEAD')
  client.send('PATCH /models/methods/x HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n')
  t.equal((await client.answer()).body.toString(), 'patched')
  client.send('DELETE /models/methods/x HTTP/1.1\r\nhost: a\r\n\r\n')
  t.equal((await client.answer()).body.toString(), 'deleted')
  t.same(
    requests.map(({ method, target, body }) => `${method} ${target} ${body}`),
    ['HEAD /big ', 'PUT /x body', 'PATCH /x ', 'DELETE /x '],
  )
  t.same(valuesOf(requests[3]!, 'content-length'), [], 'no body was sent, so none is announced')
})

t.test('where answers are read, endpoints are asked for them uncompressed', async (t) => {
  const { requests } = endpoint('read', OK)
  await gateway.infer('unread', tensorOf('x', [1]), { 'accept-encoding': 'gzip, br' })
  await gateway.infer('read', tensorOf('x', [1]), { 'accept-encoding': 'gzip, br' })
  t.same(valuesOf(requests[0]!, 'accept-encoding'), ['gzip, br'])
  t.same(valuesOf(requests[1]!, 'accept-encoding'), ['identity'], 'a check cannot look into gzip')
})

t.test('a connection to an endpoint carries request after request', async (t) => {
  const { upstream, requests } = endpoint('kept', OK)
  const client = await RawClient.open(gateway.port)
  t.teardown(() => client.close())
  const body = tensorOf('x', [1])
  for (let count = 0; count < 20; count += 1) {
    client.send(
      `POST /v2/models/kept/infer HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    t.equal((await client.answer()).status, 200)
  }
  t.equal(requests.length, 20)
  t.equal(upstream.connectionCount, 1)
})

t.test('a kept connection that the endpoint closed meanwhile costs a safe request nothing', async (t) => {
  t.equal((await gateway.infer('breaking', tensorOf('x', [1]))).status, 200)
  const again = await gateway.infer('breaking', tensorOf('x', [1]))
  t.equal(again.status, 200, 'sent once more on a new connection')
  t.equal(breaking.connectionCount, 2)
  t.equal(again.headers['modelgate-error'], undefined)
})

t.test('a large body crosses whole, both ways', async (t) => {
  const big = Buffer.alloc(3 * 1024 * 1024, 'abcdefghijklmnopqrstuvwxyz0123456789')
  const { requests } = endpoint('large', plainAnswer(200, big.toString()))
  const told = await gateway.ask('/models/large/big', { body: big })
  t.equal(told.status, 200)
  t.ok(told.body.equals(big), 'the answer')
  t.ok(requests[0]!.body.equals(big), 'the request')
  await sameOverSlowReader(t, big)
})

/** A caller that reads slowly still gets every byte. */
async function sameOverSlowReader(t: Test, big: Buffer): Promise<void> {
  const client = await RawClient.open(gateway.port)
  client.socket.pause()
  client.send('GET /models/large/big HTTP/1.1\r\nhost: a\r\n\r\n')
  await new Promise((resolve) => setTimeout(resolve, 100))
  client.socket.resume()
  const answer = await client.answer()
  t.ok(answer.complete && answer.body.equals(big), 'for a reader who paused')
  client.close()
}
