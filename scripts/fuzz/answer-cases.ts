/**
 * Answers an endpoint might send, from well-formed to hardly HTTP at all, as fast-check arbitraries: a case
 * that fails is shrunk to the few bytes that matter. Every case is bytes followed by the end of the
 * connection; what it is wrong about is not known here, two readers decide.
 */
import { Buffer } from 'node:buffer'
import fc from 'fast-check'

export interface AnswerCase {
  /** Of the request it answers. */
  readonly method: string
  readonly bytes: Buffer
  /** Where the bytes are cut when they are fed in pieces. */
  readonly cuts: readonly number[]
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
const methods = fc.constantFrom('GET', 'GET', 'POST', 'HEAD')
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom('', 'ok', '0\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n', '\r\n\r\n', 'a\n').map(latin1),
)

const STATUSES = [200, 200, 200, 201, 203, 204, 205, 206, 301, 304, 400, 404, 413, 429, 500, 503, 599]
const REASONS = ['OK', '', 'Not Found', 'gr\u00fcn \u0080', 'a\tb', '200 OK', ':']
const NAMES = [
  'x-a',
  'X-B',
  'content-type',
  'Set-Cookie',
  'Keep-Alive',
  'Server',
  'Trailer',
  'Upgrade',
  'X-~!',
]
const VALUES = [
  '',
  'a',
  'a b',
  ' a\t',
  '"q, r"',
  'timeout=5',
  '\u00eb\u00ff',
  'close',
  'chunked',
  'a,b',
  'x: y',
]

/** Framing as it should be, and as nobody should write it. */
const FRAMINGS = [
  ...['chunked', 'Chunked', 'CHUNKED', ' chunked ', 'gzip, chunked', 'chunked, chunked', 'identity'],
  ...['', 'chunked\t', 'xchunked', 'chunked;q=1', 'chunked,', '\u000bchunked', 'gzip'],
].map((value) => `Transfer-Encoding:${value}`)
const LENGTHS = [
  ...['0', '2', '02', ' 2 ', '+2', '-1', '2,2', '2, 2', '0x2', '2 2', '', '1e1', '2.0', '2\t', '٢'],
  ...['9007199254740993', '18446744073709551618', '99999999999999999999', '4294967298'],
].map((value) => `Content-Length:${value}`)
const CONNECTIONS = [
  ...['close', 'keep-alive', 'Close', 'keep-alive, close', 'x-a', 'content-length', 'transfer-encoding'],
  ...[', ,', 'close\u00a0', 'upgrade', 'close x-b'],
].map((value) => `Connection: ${value}`)
const SPELLINGS = [
  'Content-Length : 2',
  ' Content-Length: 2',
  'Content_Length: 2',
  'Content-Length\t: 2',
  ': 2',
  'x',
]

const field = fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...VALUES)).map((pair) => pair.join(': '))
const oddField = fc.constantFrom(...FRAMINGS, ...LENGTHS, ...CONNECTIONS, ...SPELLINGS)
const version = fc.oneof(
  { weight: 12, arbitrary: fc.constant('HTTP/1.1') },
  { weight: 2, arbitrary: fc.constant('HTTP/1.0') },
  { weight: 1, arbitrary: fc.constantFrom('HTTP/1.2', 'HTTP/2', 'http/1.1', 'HTTP/01.1', 'ICY', 'HTTP/0.9') },
)
const lineEnd = fc.oneof(
  { weight: 30, arbitrary: fc.constant('\r\n') },
  { weight: 1, arbitrary: fc.constantFrom('\n', '\r', '\r\r\n', '\n\r\n', '\r\n ') },
)

interface Body {
  readonly line: string
  readonly wire: Buffer
}

const byLength = payload.map((body): Body => ({ line: `Content-Length: ${body.length}`, wire: body }))
const byClose = payload.map((body): Body => ({ line: '', wire: body }))

const size = (length: number, how: number): string => {
  const hex = length.toString(16)
  return [hex, hex, hex, hex.toUpperCase(), `0${hex}`, `000000${hex}`][how % 6]!
}
const EXTENSIONS = [
  '',
  '',
  '',
  '',
  ';a=b',
  ';a="b;c"',
  ';a',
  ' ;a=b',
  '; a = b',
  ' ',
  ';',
  ';\u00ff',
  ';a="\r"',
]
const TRAILERS = [
  '',
  '',
  '',
  'X-Sum: 1\r\n',
  'Content-Length: 9\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Connection: close\r\n',
  'bad\r\n',
  'x : y\r\n',
  ' a: b\r\n',
]
const chunked = fc
  .record({
    parts: fc.array(payload, { maxLength: 4 }),
    how: fc.nat(5),
    extensions: fc.array(fc.constantFrom(...EXTENSIONS), { minLength: 5, maxLength: 5 }),
    trailer: fc.constantFrom(...TRAILERS),
    last: fc.constantFrom('0\r\n', '0\r\n', '0\r\n', '00\r\n', '0;x\r\n', '-0\r\n', ''),
  })
  .map(({ parts, how, extensions, trailer, last }): Body => {
    const chunks = parts
      .filter((part) => part.length > 0)
      .map((part, index) =>
        Buffer.concat([latin1(`${size(part.length, how)}${extensions[index]}\r\n`), part, latin1('\r\n')]),
      )
    return {
      line: 'Transfer-Encoding: chunked',
      wire: Buffer.concat([...chunks, latin1(`${last}${trailer}\r\n`)]),
    }
  })

const interims = fc.oneof(
  { weight: 6, arbitrary: fc.constant('') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'HTTP/1.1 100 Continue\r\n\r\n',
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
      'HTTP/1.1 100 C\r\n\r\nHTTP/1.1 102 P\r\n\r\n',
      'HTTP/1.1 100 C\r\nContent-Length: 2\r\n\r\n',
      'HTTP/1.1 101 Switching Protocols\r\n\r\n',
      'HTTP/1.0 100 C\r\n\r\n',
      'HTTP/1.1 100 C\r\nConnection: close\r\n\r\n',
    ),
  },
)

const built = fc
  .record({
    version,
    status: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...STATUSES) },
      { weight: 1, arbitrary: fc.nat(999) },
    ),
    reason: fc.constantFrom(...REASONS),
    lineEnd,
    fields: fc.array(fc.oneof({ weight: 4, arbitrary: field }, { weight: 1, arbitrary: oddField }), {
      maxLength: 4,
    }),
    body: fc.oneof(byLength, byLength, byClose, chunked, chunked),
    interims,
    surplus: fc.oneof(
      { weight: 8, arbitrary: fc.constant(Buffer.alloc(0)) },
      { weight: 1, arbitrary: payload },
    ),
    isBodiless: fc.boolean(),
  })
  .map((one) => {
    const { status, reason, fields, body } = one
    const lines = [...fields, ...(body.line === '' ? [] : [body.line])]
    const opening = `${one.interims}${one.version} ${status} ${reason}${one.lineEnd}`
    const head = latin1(`${opening}${lines.map((line) => `${line}${one.lineEnd}`).join('')}\r\n`)
    const bodiless = one.isBodiless && (status === 204 || status === 304)
    return Buffer.concat([head, bodiless ? Buffer.alloc(0) : body.wire, one.surplus])
  })

/** Words of the grammar in any order: what no template thinks of. */
const WORDS = [
  ...[
    'HTTP/1.1 ',
    'HTTP/1.0 ',
    '200',
    '204',
    ' ',
    '\r\n',
    '\r\n',
    '\r\n\r\n',
    '\n',
    '\r',
    '\t',
    '\0',
    ':',
    ',',
  ],
  ...[
    'OK',
    'x: y',
    'Content-Length',
    'Content-Length: 1',
    'Transfer-Encoding: chunked',
    'chunked',
    '0',
    '1',
    'a',
  ],
  ...['Connection: close', '0\r\n', '1\r\na\r\n', ';x', '\x80', 'Content-Length:0\r\n'],
]
const soup = fc
  .array(fc.constantFrom(...WORDS), { maxLength: 14 })
  .map((words) => latin1(`HTTP/1.1 200 OK\r\n${words.join('')}`))

type Edit = readonly [place: number, byte: number, how: string]

const edits = fc.array(
  fc.tuple(
    fc.nat(400),
    fc.oneof(fc.constantFrom(...latin1('\r\n\0 \t:;,0159afx\x7f\x0b\x0c+-"\x80')), fc.nat(255)),
    fc.constantFrom('set', 'insert', 'delete', 'cut', 'repeat'),
  ),
  { maxLength: 3 },
)

/** Any answer, mostly with a few bytes changed. */
export function answerCases(): fc.Arbitrary<AnswerCase> {
  const bytes = fc.oneof({ weight: 8, arbitrary: built }, { weight: 1, arbitrary: soup })
  return fc
    .record({
      method: methods,
      bytes,
      edits,
      isEdited: fc.boolean(),
      cuts: fc.array(fc.nat(400), { maxLength: 4 }),
    })
    .map((one) => ({
      method: one.method,
      bytes: one.isEdited ? edited(one.bytes, one.edits) : one.bytes,
      cuts: one.cuts,
    }))
}

export function edited(bytes: Buffer, changes: readonly Edit[]): Buffer {
  let list = [...bytes]
  for (const [place, byte, how] of changes) {
    const at = place % (list.length + 1)
    if (how === 'insert') list.splice(at, 0, byte)
    else if (how === 'delete') list.splice(at, 1)
    else if (how === 'cut') list = list.slice(0, at)
    else if (how === 'repeat') list.splice(at, 0, ...list.slice(at, at + (byte % 24)))
    else if (at < list.length) list[at] = byte
  }
  return Buffer.from(list)
}

/** The pieces that the cuts make of the bytes. */
export function piecesOf({ bytes, cuts }: AnswerCase): Buffer[] {
  const inside = cuts.map((cut) => cut % (bytes.length + 1)).sort((left, right) => left - right)
  const at = [0, ...inside, bytes.length]
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end))
}
