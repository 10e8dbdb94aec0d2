/**
 * A reader of requests that is strict and simple instead of fast: what it finds in some bytes, every careful
 * reader of RFC 9112 finds there, too. The campaign of the request side holds the gateway against it, so it shares
 * no code with the gateway. It stops at the first thing that anybody could read in another way.
 *
 * A target is any printable ASCII without `#`, which is wider than RFC 3986. And it knows the two things that the
 * server in front hides from the gateway (ARCHITECTURE.md, “What the edge checks itself”): bytes ≥ 0x80 at the ends of
 * a value are gone, and so are all headers from one with an empty name on.
 */
import { Buffer } from 'node:buffer'

export interface StrictRequest {
  readonly method: string
  readonly target: string
  /** name, value, …; names in lower case, values without blanks around them, one character for each byte. */
  readonly headers: readonly string[]
  readonly body: Buffer
  readonly isChunked: boolean
}

export interface RequestReading {
  readonly requests: readonly StrictRequest[]
  /** What follows the last of them: nothing, the beginning of another, or something to be wary of. */
  readonly rest: 'nothing' | 'incomplete' | 'doubtful'
  /** Why it is doubtful. */
  readonly problem: string
  readonly restAt: number
  /** The head of the rest, where that is well-formed and only its chunks are not, or not complete. */
  readonly restHead: Omit<StrictRequest, 'body'> | null
  /** The word that stands where the method of the rest should be. */
  readonly restMethod: string
}

type Head = Omit<StrictRequest, 'body'>

class Doubt extends Error {}
class Incomplete extends Error {}
/** One of the two, in the chunks behind a good head. */
class InChunks extends Error {
  readonly head: Head
  readonly why: unknown

  constructor(head: Head, why: unknown) {
    super('in chunks')
    this.head = head
    this.why = why
  }
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const REQUEST_LINE = new RegExp(`^(${TOKEN}) (/[!"$-~]*) HTTP/1\\.1$`)
const BLANK = '[ \\t\\x80-\\xff]*'
const FIELD = new RegExp(`^(${TOKEN}):${BLANK}(|[!-~](?:[\\t -~\\x80-\\xff]*[!-~])?)${BLANK}$`)
const HOST = /^(?:(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/
const CHUNK_LINE = new RegExp(`^([0-9A-Fa-f]{1,12})(?:;${TOKEN}(?:=(?:${TOKEN}|"[ !#-\\[\\]-~\\t]*"))?)*$`)
const ONCE = ['host', 'content-length', 'transfer-encoding']

export function readRequests(bytes: Buffer): RequestReading {
  const requests: StrictRequest[] = []
  let at = 0
  try {
    while (at < bytes.length) {
      const { request, end } = readRequest(bytes, at)
      requests.push(request)
      at = end
    }
    return { requests, rest: 'nothing', problem: '', restAt: at, restHead: null, restMethod: '' }
  } catch (thrown) {
    const restMethod = bytes.toString('latin1', at, at + 16).split(' ')[0]!
    const isInChunks = thrown instanceof InChunks
    const what = { requests, restAt: at, restHead: isInChunks ? thrown.head : null, restMethod }
    const problem = isInChunks ? thrown.why : thrown
    if (problem instanceof Incomplete) return { ...what, rest: 'incomplete', problem: '' }
    if (problem instanceof Doubt) return { ...what, rest: 'doubtful', problem: problem.message }
    throw problem
  }
}

function readRequest(bytes: Buffer, at: number): { request: StrictRequest; end: number } {
  const { lines, end } = readLines(bytes, at)
  const line = REQUEST_LINE.exec(lines[0]!)
  if (line === null) throw new Doubt('request line')
  const unnamed = lines.findIndex((text) => text.startsWith(':'))
  const headers = lines.slice(1, unnamed === -1 ? undefined : unnamed).flatMap(readField)
  const [host, length, coding] = ONCE.map((name) => onlyValue(headers, name))
  if (host === undefined || !HOST.test(host)) throw new Doubt('host')
  const head = { method: line[1]!, target: line[2]!, headers, isChunked: coding !== undefined }
  if (coding !== undefined) {
    if (length !== undefined) throw new Doubt('both framings')
    if (coding.toLowerCase() !== 'chunked') throw new Doubt('transfer coding')
    try {
      const { body, end: bodyEnd } = readChunks(bytes, end)
      return { request: { ...head, body }, end: bodyEnd }
    } catch (why) {
      throw new InChunks(head, why)
    }
  }
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw new Doubt('content length')
  const bodyEnd = end + Number(length ?? 0)
  if (bodyEnd > bytes.length) throw new Incomplete()
  return { request: { ...head, body: bytes.subarray(end, bodyEnd) }, end: bodyEnd }
}

/** Up to and including the empty line. A line ends with CR LF, and neither stands anywhere else. */
function readLines(bytes: Buffer, from: number): { lines: string[]; end: number } {
  const lines: string[] = []
  for (let at = from; ; ) {
    const feed = bytes.indexOf(0x0a, at)
    const line = bytes.toString('latin1', at, feed === -1 ? bytes.length : feed)
    if (feed === -1) {
      if (/[\0\r](?!$)/.test(line)) throw new Doubt('control character')
      throw new Incomplete()
    }
    if (!line.endsWith('\r') || line.slice(0, -1).includes('\r')) throw new Doubt('line end')
    at = feed + 1
    if (line === '\r') return { lines: lines.length === 0 ? [''] : lines, end: at }
    lines.push(line.slice(0, -1))
  }
}

function readField(line: string): string[] {
  const field = FIELD.exec(line)
  if (field === null) throw new Doubt('header line')
  return [field[1]!.toLowerCase(), field[2]!]
}

function onlyValue(headers: readonly string[], name: string): string | undefined {
  const values = headers.filter((_, index) => index % 2 === 1 && headers[index - 1] === name)
  if (values.length > 1) throw new Doubt(`${name} repeated`)
  return values[0]
}

function readChunks(bytes: Buffer, from: number): { body: Buffer; end: number } {
  const parts: Buffer[] = []
  for (let at = from; ; ) {
    const feed = bytes.indexOf('\r\n', at)
    if (feed === -1) throw new Incomplete()
    const size = CHUNK_LINE.exec(bytes.toString('latin1', at, feed))?.[1]
    if (size === undefined) throw new Doubt('chunk line')
    const start = feed + 2
    const end = start + Number.parseInt(size, 16)
    if (end === start) return { body: Buffer.concat(parts), end: readTrailers(bytes, start) }
    if (end + 2 > bytes.length) {
      const close = bytes.toString('latin1', Math.min(end, bytes.length))
      throw '\r\n'.startsWith(close) ? new Incomplete() : new Doubt('chunk end')
    }
    if (bytes.toString('latin1', end, end + 2) !== '\r\n') throw new Doubt('chunk end')
    parts.push(bytes.subarray(start, end))
    at = end + 2
  }
}

function readTrailers(bytes: Buffer, at: number): number {
  const { lines, end } = readLines(bytes, at)
  const names = lines.filter((line) => line !== '').map((line) => readField(line)[0]!)
  if (names.some((name) => ONCE.includes(name))) throw new Doubt('framing in trailers')
  return end
}
