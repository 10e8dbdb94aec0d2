/**
 * Requests as good callers write them, to every kind of path that the campaign's gateway knows: a raw API, a model of
 * the open inference protocol, the OpenAI API, and questions to the gateway itself. Each has a token of its own.
 */
import { Buffer } from 'node:buffer'
import type { Draw } from './draw.ts'

/** A request before it is bytes; whoever makes it odd changes its parts in place. */
export interface Message {
  /** Of this message alone. */
  readonly token: string
  before: string
  method: string
  target: string
  version: string
  /** Between method, target and version. */
  separators: [string, string]
  /** Without line ends. */
  lines: string[]
  /** By index of the line (0: the request line) where it is another one than CR LF. */
  lineEnds: Map<number, string>
  body: Buffer
  /** The body as it is sent: with chunks around it, cut short, or with something behind it. */
  wire: Buffer
}

const SEGMENTS = [
  'a',
  'a.b',
  'v1',
  '%20',
  'x~y',
  'a;p=1',
  'a:b',
  '@',
  'slow',
  '204',
  '..a',
  '%C3%A9',
  'A-Z_0',
]
const QUERIES = ['', '', '', '?a=b', '?q=%2F%3F', '?x=/../', '?a&b=1;2', "?!$'()*,:@"]
const HOSTS = [
  'fuzz',
  'models.example.com',
  'a.b:8080',
  '127.0.0.1',
  '[::1]',
  '[::1]:8080',
  'x_y',
  'A.B',
  'a%20b',
]
const LINES = [
  ...[
    'Accept: */*',
    'accept-encoding: gzip',
    'USER-AGENT: fuzz/1 (x; y)',
    'x-empty:',
    'X-Space:   a  b  ',
    'x-tab:\ta\tb',
  ],
  ...[
    'x-twice: one',
    'x-twice: two',
    'X-Twice: one',
    'cookie: a=b; c="d"',
    'x-utf: \xc3\xa9t\xc3\xa9 x',
    "x-!#$%&'*+.^`|~: y",
  ],
  ...[
    'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'authorization: Bearer x',
    'X-A_B: under',
  ],
  ...[
    'connection: keep-alive',
    'keep-alive: timeout=5',
    'te: trailers',
    'x-colons: a:b:c',
    'x-comma: a, b,,c',
    'via: 1.1 other',
  ],
  ...[
    'x-forwarded-for: 10.0.0.1',
    'forwarded: for=10.0.0.1',
    'modelgate-deadline-ms: 20000',
    'range: bytes=0-1',
  ],
]
const METHODS = ['GET', 'GET', 'POST', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']
const INFER = '{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1.5]}]}'
const CHAT = '{"model":"gpt","messages":[{"role":"user","content":"hello"}]}'
/** A request that must never be seen at an endpoint: it is only ever sent as somebody's body. */
export function smuggled(token: string): string {
  return `GET /models/api/smuggled HTTP/1.1\r\nHost: fuzz\r\nX-Token: ${token}-smuggled\r\n\r\n`
}

export function plainMessage(draw: Draw, token: string): Message {
  const kind = draw.upTo(9)
  const base =
    kind < 6 ? toRaw(draw, token) : kind < 8 ? toModel(draw) : kind < 9 ? toOpenai(draw) : toGateway(draw)
  const lines = [`Host: ${draw.one(HOSTS)}`, `X-Token: ${token}`, ...base.lines]
  const more = draw.happens(0.05) ? 40 : draw.upTo(4)
  for (let count = 0; count < more; count += 1) insert(draw, lines, freshLine(draw, lines))
  if (draw.happens(0.05)) insert(draw, lines, `x-long: ${'v'.repeat(draw.upTo(3000))}`)
  if (base.body.length > 0 || ['POST', 'PUT', 'PATCH'].includes(base.method) || draw.happens(0.1)) {
    insert(draw, lines, `${draw.one(['Content-Length', 'content-length'])}: ${base.body.length}`)
  }
  return {
    token,
    before: '',
    version: 'HTTP/1.1',
    separators: [' ', ' '],
    lineEnds: new Map(),
    ...base,
    lines,
    wire: base.body,
  }
}

/** Two authorizations would be refused, and nothing here may be. */
function freshLine(draw: Draw, lines: readonly string[]): string {
  const line = draw.one(LINES)
  return line.startsWith('authorization') && lines.includes(line) ? 'x-other: y' : line
}

export function wireOf(message: Message): Buffer {
  const { before, method, target, version, separators, lines, lineEnds, wire } = message
  const all = [`${method}${separators[0]}${target}${separators[1]}${version}`, ...lines]
  const head = all.map((line, index) => line + (lineEnds.get(index) ?? '\r\n')).join('')
  return Buffer.concat([Buffer.from(`${before}${head}${lineEnds.get(all.length) ?? '\r\n'}`, 'latin1'), wire])
}

export function insert(draw: Draw, lines: string[], line: string): void {
  lines.splice(draw.upTo(lines.length), 0, line)
}

type Base = Pick<Message, 'method' | 'target' | 'body' | 'lines'>

function toRaw(draw: Draw, token: string): Base {
  const method = draw.one(METHODS)
  const path = Array.from({ length: draw.upTo(3) }, () => `/${draw.one(SEGMENTS)}`).join('')
  const isBodied = method !== 'HEAD' && method !== 'GET' ? draw.happens(0.9) : draw.happens(0.1)
  return {
    method,
    target: `/models/api${path}${draw.one(QUERIES)}`,
    body: isBodied ? anyBody(draw, token) : Buffer.alloc(0),
    lines: draw.happens(0.5) ? ['Content-Type: text/plain'] : [],
  }
}

function toModel(draw: Draw): Base {
  const path = `/v2/models/m${draw.happens(0.2) ? '/versions/v1' : ''}`
  if (draw.happens(0.3)) {
    const target = `${path}${draw.one(['', '/ready'])}${draw.one(QUERIES)}`
    return { method: draw.one(['GET', 'HEAD']), target, body: Buffer.alloc(0), lines: [] }
  }
  const lines = ['Content-Type: application/json']
  return { method: 'POST', target: `${path}/infer`, body: Buffer.from(INFER), lines }
}

function toOpenai(draw: Draw): Base {
  const target = draw.one(['/v1/chat/completions', '/v1/completions?x=1', '/v1/embeddings'])
  return { method: 'POST', target, body: Buffer.from(CHAT), lines: ['content-type: application/json'] }
}

function toGateway(draw: Draw): Base {
  const target = draw.one(['/v2', '/v2/health/live', '/v2/health/ready', '/v1/models', '/v1/models/gpt'])
  return { method: draw.one(['GET', 'GET', 'HEAD']), target, body: Buffer.alloc(0), lines: [] }
}

function anyBody(draw: Draw, token: string): Buffer {
  const kind = draw.upTo(9)
  if (kind < 3) return Buffer.from(smuggled(token), 'latin1')
  if (kind < 5)
    return Buffer.from(draw.one(['x', '0\r\n\r\n', '\r\n', '\r\n\r\n', '5\r\nhello\r\n0\r\n\r\n', '{}']))
  const bytes = kind < 9 ? draw.upTo(60) : draw.upTo(40_000)
  return Buffer.from(Array.from({ length: bytes }, () => draw.upTo(255)))
}
