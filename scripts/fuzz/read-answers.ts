/**
 * What a caller makes of the bytes it got: one answer after the other, each with the method it answers. Knows what
 * the gateway writes (Content-Length, chunks, interim answers) and nothing of how it does so.
 */
import type { Buffer } from 'node:buffer'

export interface ReadAnswer {
  readonly status: number
  /** By lower-case name; the last of several. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
  readonly end: number
}

export interface AnswersReading {
  readonly answers: readonly ReadAnswer[]
  /** Bytes behind the last complete answer. */
  readonly left: Buffer
}

/** `methodOf(n)`: of the n-th request. */
export function readAnswers(bytes: Buffer, methodOf: (index: number) => string): AnswersReading {
  const answers: ReadAnswer[] = []
  let at = 0
  for (;;) {
    const answer = readAnswer(bytes, at, methodOf(answers.length))
    if (answer === null) return { answers, left: bytes.subarray(at) }
    at = answer.end
    if (answer.status >= 200) answers.push(answer)
  }
}

function readAnswer(bytes: Buffer, from: number, method: string): ReadAnswer | null {
  const headEnd = bytes.indexOf('\r\n\r\n', from)
  if (headEnd === -1) return null
  const [statusLine = '', ...lines] = bytes.toString('latin1', from, headEnd).split('\r\n')
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1] ?? Number.NaN)
  if (Number.isNaN(status)) return null
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
    }),
  )
  const start = headEnd + 4
  // The server's own words have a body even for HEAD.
  const isOwnWords = status >= 400 && !headers.has('modelgate-request-id') && !headers.has('content-length')
  const isBodiless = status < 200 || status === 204 || status === 304 || (method === 'HEAD' && !isOwnWords)
  if (isBodiless) return { status, headers, body: '', end: start }
  if (headers.get('transfer-encoding') === 'chunked') return readChunked(bytes, start, { status, headers })
  // Those words end with the connection.
  const length = isOwnWords ? bytes.length - start : Number(headers.get('content-length') ?? 0)
  if (bytes.length < start + length) return null
  const end = start + length
  return { status, headers, body: bytes.toString('latin1', start, end), end }
}

function readChunked(
  bytes: Buffer,
  from: number,
  head: Pick<ReadAnswer, 'status' | 'headers'>,
): ReadAnswer | null {
  let body = ''
  for (let at = from; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return null
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    const end = lineEnd + 2 + size
    if (bytes.length < end + 2) return null
    if (size === 0) return { ...head, body, end: end + 2 }
    body += bytes.toString('latin1', lineEnd + 2, end)
    at = end + 2
  }
}
