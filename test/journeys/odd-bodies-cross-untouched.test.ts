import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { JSON_TYPE, tensorOf } from '../support/ask.ts'
import { PATIENT } from '../support/patient.ts'
import { type RawAnswer, RawClient } from '../support/raw-client.ts'
import { type ReceivedRequest, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

const JSON_TEXT = tensorOf('x', [1])
const ALL_BYTES = Buffer.from(
  Array.from({ length: 70_000 }, (_, index) => (index * 7919 + (index >> 8)) % 256),
)
/** Sequences that readers of text, lines, chunks or events might change. */
const TRAPS = Buffer.concat([
  Buffer.from('\ufeff\r\n\r\n0\r\n\r\n\n\ndata: x\n\n--b\r\nContent-Length: 3\r\n\r\n\0\xff', 'latin1'),
  Buffer.from([0xef, 0xbb, 0xbf, 0xed, 0xa0, 0x80, 0xc0, 0x80, 0xff, 0xfe, 0x1a, 0x00]),
])

interface Odd {
  readonly name: string
  /** Header lines as they are sent. */
  readonly lines: readonly string[]
  readonly body: Buffer
}

const ODD: readonly Odd[] = [
  {
    name: 'gzip',
    lines: ['content-type: application/json', 'content-encoding: gzip'],
    body: gzipSync(JSON_TEXT),
  },
  {
    name: 'deflate',
    lines: ['content-type: text/plain', 'content-encoding: deflate'],
    body: deflateSync(ALL_BYTES),
  },
  {
    name: 'brotli',
    lines: ['content-type: text/html', 'content-encoding: br'],
    body: brotliCompressSync(ALL_BYTES),
  },
  {
    name: 'twice encoded',
    lines: ['content-encoding: gzip, br'],
    body: brotliCompressSync(gzipSync(JSON_TEXT)),
  },
  { name: 'an encoding that does not tell the truth', lines: ['content-encoding: gzip'], body: TRAPS },
  { name: 'an encoding that nobody knows', lines: ['content-encoding: x-own; q=1'], body: ALL_BYTES },
  { name: 'no content type', lines: [], body: TRAPS },
  { name: 'an empty content type', lines: ['content-type:'], body: TRAPS },
  { name: 'a content type that is none', lines: ['content-type: ;;, "'], body: TRAPS },
  {
    name: 'parameters',
    lines: ['content-type: Multipart/Form-Data; boundary="a; b,\\"c"; x=\u00fc; y=1'],
    body: TRAPS,
  },
  { name: 'JSON that is none', lines: ['content-type: application/json; charset=utf-16'], body: TRAPS },
  { name: 'protobuf', lines: ['content-type: application/x-protobuf'], body: ALL_BYTES },
  { name: 'an image', lines: ['content-type: image/png'], body: ALL_BYTES },
  { name: 'nothing', lines: ['content-type: application/octet-stream'], body: Buffer.alloc(0) },
]

const FRAMINGS = ['length', 'chunks'] as const

function framed({ lines, body }: Odd, framing: (typeof FRAMINGS)[number]): Buffer {
  const framingLine = framing === 'length' ? `content-length: ${body.length}` : 'transfer-encoding: chunked'
  const head = Buffer.from(`${['HTTP/1.1 200 OK', ...lines, framingLine].join('\r\n')}\r\n\r\n`)
  if (framing === 'length') return Buffer.concat([head, body])
  const parts: Buffer[] = [head]
  for (let at = 0; at < body.length; at += 999) {
    const piece = body.subarray(at, at + 999)
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'))
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')])
}

/** What the endpoint got; a request’s `x-answer` says which odd answer it gets, and how framed. */
const requests: ReceivedRequest[] = []
const endpoint = await ScriptedUpstream.start(async (connection) => {
  for (;;) {
    const request = await connection.request()
    requests.push(request)
    const [index = '0', framing = 'length'] = request.headers.get('x-answer')!.split(' ')
    connection.send(framed(ODD[Number(index)]!, framing as 'length'))
  }
})
t.teardown(() => endpoint.close())
t.beforeEach(() => {
  requests.length = 0
})

/** A model of each dialect before the one endpoint. */
const MODELS = { api: 'raw', m: 'open-inference', chat: 'openai', rows: 'kserve-v1' }
const gateway = await startTestGateway(t, {
  toml: Object.entries(MODELS)
    .map(
      ([name, protocol]) =>
        `[models.${name}]\nprotocol = "${protocol}"\n${PATIENT}\n[models.${name}.versions.v1]\nendpoints = ["${endpoint.url}"]\n`,
    )
    .join(''),
})

/** Lines of a head with one of these names, as bytes were. */
const linesOf = (head: string, names: readonly string[]) =>
  head.split('\r\n').filter((line) => names.includes(line.slice(0, line.indexOf(':')).toLowerCase()))
const TYPES = ['content-type', 'content-encoding']
const normal = (lines: readonly string[]) =>
  lines.map((line) => line.replace(/: */, ': ').replace(/^[^:]*/, (name) => name.toLowerCase())).sort()

function headOf({ raw }: RawAnswer): string {
  return raw.toString('utf8', 0, raw.indexOf('\r\n\r\n'))
}

const ASKS: Readonly<Record<string, (answer: string) => string>> = {
  raw: (answer) => `GET /models/api/x HTTP/1.1\r\nhost: a\r\nx-answer: ${answer}\r\n\r\n`,
  'open-inference': (answer) => posting('/v2/models/m/infer', answer, JSON_TEXT),
  openai: (answer) => posting('/v1/chat/completions', answer, '{"model":"chat","messages":[]}'),
  'kserve-v1': (answer) => posting('/v1/models/rows:predict', answer, '{"instances":[1]}'),
}

const posting = (path: string, answer: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nhost: a\r\nx-answer: ${answer}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`

t.test('whatever a version says its answer is, in every dialect the bytes are its own', async (t) => {
  const inTurn = async (dialect: string, bytes: (answer: string) => string) => {
    const client = await RawClient.open(gateway.port)
    t.teardown(() => client.close())
    for (const [index, odd] of ODD.entries()) {
      for (const framing of FRAMINGS) {
        client.send(bytes(`${index} ${framing}`))
        const answer = await client.answer()
        const name = `${dialect}, ${framing}: ${odd.name}`
        t.equal(answer.status, 200, name)
        t.ok(
          answer.complete && answer.body.equals(odd.body),
          `${name}: ${answer.body.length} of ${odd.body.length} bytes`,
        )
        t.same(normal(linesOf(headOf(answer), TYPES)), normal(odd.lines), name)
      }
    }
  }
  await Promise.all(Object.entries(ASKS).map(([dialect, bytes]) => inTurn(dialect, bytes)))
})

t.test('whatever a caller says its body is, a raw model’s endpoint gets those bytes', async (t) => {
  const client = await RawClient.open(gateway.port)
  t.teardown(() => client.close())
  for (const odd of ODD) {
    const head = ['POST /models/api/x HTTP/1.1', 'host: a', 'x-answer: 0', ...odd.lines]
    client.send(
      Buffer.concat([
        Buffer.from(`${head.join('\r\n')}\r\ncontent-length: ${odd.body.length}\r\n\r\n`),
        odd.body,
      ]),
    )
    t.equal((await client.answer()).status, 200, odd.name)
    const request = requests.at(-1)!
    t.ok(request.body.equals(odd.body), `${odd.name}: ${request.body.length} of ${odd.body.length} bytes`)
    t.same(normal(linesOf(request.head, TYPES)), normal(odd.lines), odd.name)
  }
  t.equal(requests.length, ODD.length)
})

t.test(
  'where the gateway has to read a body, one that is compressed is refused and not forwarded',
  async (t) => {
    const refused = async (path: string, text: string) => {
      const told = await gateway.ask(path, {
        body: gzipSync(text),
        headers: { ...JSON_TYPE, 'content-encoding': 'gzip' },
      })
      t.equal(told.status, 415, path)
      t.equal(told.headers['modelgate-error'], 'unsupported-media-type', path)
      t.match(told.text, /content-encoding/, path)
    }
    await refused('/v2/models/m/infer', JSON_TEXT)
    await refused('/v1/chat/completions', '{"model":"chat","messages":[]}')
    await refused('/v1/models/rows:predict', '{"instances":[1]}')
    t.equal(requests.length, 0)
  },
)
