/** The codec by table: every corpus answer in every split, limits, the writer. */
import { Buffer } from 'node:buffer'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { AnswerReader } from '../../../src/forward/http1/answer-reader.ts'
import {
  CHUNK_EXTENSION_BYTES_MAX,
  HEAD_BYTES_MAX,
  HEADERS_MAX,
  LINE_BYTES_MAX,
} from '../../../src/forward/http1/limits.ts'
import { writeHead } from '../../../src/forward/http1/request-writer.ts'
import { bytesOf, corpus, type Reading, read, splits } from './corpus.ts'

t.test('good answers are read, the same in every split', async (t) => {
  for (const { name, keys, bytes } of corpus('good.txt')) {
    const method = keys.get('method') ?? 'GET'
    const headers = bytesOf(keys.get('headers') ?? '')
      .toString('latin1')
      .split(' | ')
      .filter((header) => header !== '')
    const wanted = {
      outcome: 'end',
      byClose: keys.get('by-close') === 'yes',
      problem: '',
      status: Number(keys.get('status')),
      headers: headers.flatMap((header) => [header.split(': ')[0]!, header.slice(header.indexOf(': ') + 2)]),
      keeps: keys.get('keeps') === 'yes',
      interims: Number(keys.get('interims') ?? 0),
      body: bytesOf(keys.get('body') ?? '').toString('latin1'),
      surplus: Number(keys.get('surplus') ?? 0),
    }
    const whole = read([bytes], method)
    const { keepAliveMs: _, ...found } = whole
    t.strictSame(found, wanted, name)
    t.equal(differingSplit(bytes, method, whole), '', `${name}, in every split`)
  }
})

t.test('evil answers are refused for the right reason, the same in every split', async (t) => {
  for (const { name, keys, bytes } of corpus('evil.txt')) {
    const method = keys.get('method') ?? 'GET'
    const problem = keys.get('problem')
    const whole = read([bytes], method)
    t.equal(whole.outcome, problem === undefined ? keys.get('finish') : 'malformed', name)
    t.ok(whole.problem.startsWith(problem ?? ''), `${name}: ${whole.problem}`)
    t.equal(whole.body, '', `${name}: no body`)
    t.equal(differingSplit(bytes, method, whole), '', `${name}, in every split`)
  }
})

t.test('one reader reads answer after answer and forgets the last', async (t) => {
  const reader = new AnswerReader()
  for (const file of ['evil.txt', 'good.txt'] as const) {
    for (const { name, keys, bytes } of corpus(file)) {
      const method = keys.get('method') ?? 'GET'
      t.strictSame(read([bytes], method, reader), read([bytes], method), name)
    }
  }
})

t.test('the same head means something else for another method, and is found again', async (t) => {
  const reader = new AnswerReader()
  const head = Buffer.from('HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 2\r\n\r\n')
  const whole = Buffer.concat([head, Buffer.from('ok')])
  for (const method of ['HEAD', 'GET', 'GET', 'HEAD', 'POST']) {
    const bytes = method === 'HEAD' ? head : whole
    t.strictSame(read([bytes], method, reader), read([bytes], method), method)
  }
  const other = Buffer.from(whole.toString().replace('x: y', 'x: z'))
  t.strictSame(read([other], 'POST', reader).headers, ['x', 'z'])
})

t.test('lines, heads and extensions have limits, met exactly in every split', async (t) => {
  const answer = (lines: readonly string[]) =>
    Buffer.from(`HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join('')}content-length: 0\r\n\r\n`)
  const chunked = (text: string) =>
    Buffer.from(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${text}`)
  const line = (bytes: number) => `x: ${'v'.repeat(bytes - 3)}`
  const lines = (count: number) => Array.from({ length: count }, () => 'x: y')
  const head = (bytes: number) => {
    const full = Array.from({ length: 6 }, () => line(10_000))
    const rest = bytes - answer(full).length
    return answer([...full, line(rest - 2)])
  }
  t.equal(head(HEAD_BYTES_MAX).length, HEAD_BYTES_MAX)
  const table: readonly (readonly [string, Buffer, string])[] = [
    ['longest line', answer([line(LINE_BYTES_MAX)]), ''],
    ['line one too long', answer([line(LINE_BYTES_MAX + 1)]), 'a line is too long'],
    ['longest reason', Buffer.from(`HTTP/1.1 200 ${'r'.repeat(LINE_BYTES_MAX)}`), 'a line is too long'],
    ['most headers', answer(lines(HEADERS_MAX - 1)), ''],
    ['one header too many', answer(lines(HEADERS_MAX)), 'too many header lines'],
    ['largest head', head(HEAD_BYTES_MAX), ''],
    ['head one too large', head(HEAD_BYTES_MAX + 1), 'the header section is too large'],
    ['largest extension', chunked(`0;${'e'.repeat(CHUNK_EXTENSION_BYTES_MAX)}\r\n\r\n`), ''],
    [
      'extension too large',
      chunked(`0;${'e'.repeat(CHUNK_EXTENSION_BYTES_MAX + 1)}`),
      'too many chunk extensions',
    ],
    [
      'extensions too large in sum',
      chunked(`1;${'e'.repeat(CHUNK_EXTENSION_BYTES_MAX - 1)}\r\na\r\n0;ee\r\n\r\n`),
      'too many chunk extensions',
    ],
    ['most trailers', chunked(`0\r\n${'x: y\r\n'.repeat(HEADERS_MAX)}\r\n`), ''],
    [
      'one trailer too many',
      chunked(`0\r\n${'x: y\r\n'.repeat(HEADERS_MAX + 1)}\r\n`),
      'too many header lines',
    ],
  ]
  for (const [name, bytes, problem] of table) {
    const whole = read([bytes])
    t.equal(whole.problem, problem, name)
    t.equal(whole.outcome, problem === '' ? 'end' : 'malformed', name)
    t.strictSame(read(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))), whole, `${name}, by bytes`)
    for (const size of [3, 1_000, 4_095, 20_000]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      )
      t.strictSame(read(pieces), whole, `${name}, in pieces of ${size}`)
    }
  }
})

t.test('Keep-Alive: timeout says how long', async (t) => {
  const table: readonly (readonly [string, number])[] = [
    ['timeout=5', 5_000],
    ['timeout=5, max=100', 5_000],
    ['max=100,timeout=75', 75_000],
    ['Timeout = "10"', 10_000],
    ['timeout=0', 0],
    ['timeout=soon', Number.POSITIVE_INFINITY],
    ['timeout=-5', Number.POSITIVE_INFINITY],
    ['timeout=99999999', Number.POSITIVE_INFINITY],
    ['mytimeout=5', Number.POSITIVE_INFINITY],
  ]
  for (const [value, ms] of table) {
    const bytes = Buffer.from(`HTTP/1.1 200 OK\r\nkeep-alive: ${value}\r\ncontent-length: 0\r\n\r\n`)
    t.equal(read([bytes]).keepAliveMs, ms, value)
  }
})

t.test('any pieces of any bytes give what the whole gives', async (t) => {
  const seeds = [...corpus('good.txt'), ...corpus('evil.txt')]
  const cases = fc.record({
    seed: fc.constantFrom(...seeds),
    edits: fc.array(fc.tuple(fc.nat(400), fc.nat(255), fc.constantFrom('set', 'insert', 'delete')), {
      maxLength: 3,
    }),
    cuts: fc.array(fc.nat(400), { maxLength: 6 }),
  })
  const law = fc.property(cases, ({ seed, edits, cuts }) => {
    const bytes = edited(seed.bytes, edits)
    const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
    const pieces = at.slice(1).map((end, index) => bytes.subarray(at[index], end))
    const method = seed.keys.get('method') ?? 'GET'
    return isDeepStrictEqual(read(pieces, method), read([bytes], method))
  })
  t.doesNotThrow(() => fc.assert(law, { numRuns: 3_000 }))
})

t.test('the writer writes exactly this', async (t) => {
  const headers = ['content-type', 'application/json', 'x-a', 'b', 'x-a', 'c']
  const request = { method: 'POST', target: '/v2/models/m/infer?q=1', headers, body: Buffer.from('{}') }
  t.equal(
    writeHead(request, 'endpoint:8000'),
    'POST /v2/models/m/infer?q=1 HTTP/1.1\r\nhost: endpoint:8000\r\ncontent-type: application/json\r\n' +
      'x-a: b\r\nx-a: c\r\ncontent-length: 2\r\n\r\n',
  )
  const plain = { method: 'GET', target: '/', headers: [], body: new Uint8Array(0) }
  t.equal(writeHead(plain, 'e'), 'GET / HTTP/1.1\r\nhost: e\r\n\r\n', 'no length where no body is expected')
  for (const method of ['POST', 'PUT', 'PATCH']) {
    t.match(writeHead({ ...plain, method }, 'e'), 'content-length: 0\r\n', `${method} says it is empty`)
  }
  t.match(writeHead({ ...plain, body: Buffer.from('x') }, 'e'), 'content-length: 1\r\n', 'GET with a body')
})

t.test('the writer alone says where a request ends', async (t) => {
  const ours = ['host', 'content-length', 'transfer-encoding', 'connection', 'keep-alive', 'te', 'trailer']
  const more = ['upgrade', 'expect', 'proxy-connection', 'proxy-authorization', 'proxy-authenticate']
  const headers = [...ours, ...more].flatMap((name) => [name, 'chunked'])
  const request = { method: 'POST', target: '/', headers: [...headers, 'x', 'y'], body: Buffer.from('abc') }
  t.equal(writeHead(request, 'e'), 'POST / HTTP/1.1\r\nhost: e\r\nx: y\r\ncontent-length: 3\r\n\r\n')
})

t.test('the writer lets no line break, NUL or other spelling out', async (t) => {
  const base = { method: 'GET', target: '/', headers: [] as string[], body: new Uint8Array(0) }
  for (const bad of ['\r', '\n', '\0', 'a\r\nx: y']) {
    const wrong = [
      { ...base, method: `GET${bad}` },
      { ...base, target: `/${bad}` },
      { ...base, headers: [`x${bad}`, 'y'] },
      { ...base, headers: ['x', `y${bad}`] },
    ]
    for (const request of wrong) t.type(writeHead(request, 'e'), 'object', JSON.stringify(request))
    t.type(writeHead(base, `e${bad}`), 'object', 'authority')
  }
  for (const target of ['', '/a b', '/\x7f']) t.type(writeHead({ ...base, target }, 'e'), 'object', target)
  for (const name of ['', 'a b', 'a:', 'Content-Length', '\u212aeep-alive', 'ë', '"a"']) {
    t.type(writeHead({ ...base, headers: [name, 'v'] }, 'e'), 'object', `name ${name}`)
  }
  const narrow = writeHead({ ...base, headers: ['x', 'a\u010d\u010ay'] }, 'e') as string
  t.equal(Buffer.from(narrow).filter((byte) => byte === 0x0a).length, 4, 'U+010A is no line feed in UTF-8')
})

/** The first split that gives another result than the whole, in words; empty when there is none. */
function differingSplit(bytes: Buffer, method: string, whole: Reading): string {
  for (const pieces of splits(bytes)) {
    if (!isDeepStrictEqual(read(pieces, method), whole)) {
      return `${pieces.length} pieces, the first of ${pieces[0]!.length} bytes`
    }
  }
  return ''
}

type Edit = readonly [number, number, string]

function edited(bytes: Buffer, edits: readonly Edit[]): Buffer {
  const list = [...bytes]
  for (const [place, byte, how] of edits) {
    const at = place % (list.length + 1)
    if (how === 'insert') list.splice(at, 0, byte)
    else if (how === 'delete') list.splice(at, 1)
    else if (at < list.length) list[at] = byte
  }
  return Buffer.from(list)
}
