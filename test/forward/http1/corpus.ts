/** Reads the answers of test/corpus/http1 and feeds them to the reader in any pieces. */
import { Buffer } from 'node:buffer'
import { existsSync, readFileSync } from 'node:fs'
import { AnswerReader } from '../../../src/forward/http1/answer-reader.ts'

export interface CorpusEntry {
  readonly name: string
  readonly keys: ReadonlyMap<string, string>
  readonly bytes: Buffer
}

/** Compiled tests run from another folder; the corpus stays with the sources. */
function corpusUrl(file: string): URL {
  for (let up = '../../'; up.length < 60; up += '../') {
    const url = new URL(`${up}test/corpus/http1/${file}`, import.meta.url)
    if (existsSync(url)) return url
  }
  throw new Error(`no test/corpus/http1/${file} above ${import.meta.url}`)
}

export function corpus(file: 'good.txt' | 'evil.txt'): CorpusEntry[] {
  const text = readFileSync(corpusUrl(file), 'utf8')
  return text
    .split(/^=== /m)
    .slice(1)
    .map((entry) => {
      const separator = entry.indexOf('\n---\n')
      const [name = '', ...lines] = entry.slice(0, separator).split('\n')
      const keys = new Map(lines.map((line) => [line.split(': ')[0]!, line.slice(line.indexOf(': ') + 2)]))
      return { name, keys, bytes: bytesOf(entry.slice(separator + 5).replaceAll('\n', '')) }
    })
}

const PLAIN: Record<string, string> = { r: '\r', n: '\n', t: '\t', 0: '\0', '\\': '\\' }

export function bytesOf(text: string): Buffer {
  const decoded = text.replace(/\\(?:x([0-9a-f]{2})|([rnt0\\]))/g, (_, hex?: string, plain?: string) =>
    hex === undefined ? PLAIN[plain!]! : String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return Buffer.from(decoded, 'latin1')
}

export interface Reading {
  readonly outcome: 'end' | 'malformed' | 'nothing' | 'truncated'
  /** The answer was complete only because the connection ended. */
  readonly byClose: boolean
  readonly problem: string
  readonly status: number
  readonly headers: readonly string[]
  readonly keeps: boolean
  readonly keepAliveMs: number
  readonly interims: number
  readonly body: string
  readonly surplus: number
}

/**
 * Feeds pieces the way a shared read buffer does: each at another place of one buffer, which is
 * overwritten as soon as the reader returned. A view kept past the call would show as a wrong result.
 */
export function read(pieces: readonly Buffer[], method = 'GET', reader = new AnswerReader()): Reading {
  const total = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const shared = Buffer.alloc(total + 64)
  const body: Buffer[] = []
  let interims = 0
  let used = 0
  reader.expect(method)
  const result = (outcome: Reading['outcome'], byClose: boolean): Reading => ({
    outcome,
    byClose,
    problem: reader.problem,
    status: reader.head?.status ?? 0,
    headers: reader.head?.headers ?? [],
    keeps: reader.head?.keepsAlive ?? false,
    keepAliveMs: reader.head?.keepAliveMs ?? 0,
    interims,
    body: outcome === 'end' ? Buffer.concat(body).toString('latin1') : '',
    surplus: outcome === 'end' && !byClose ? total - used : 0,
  })
  for (const [index, piece] of pieces.entries()) {
    const start = (index * 7) % 64
    const end = start + piece.length
    piece.copy(shared, start)
    reader.position = start
    for (let event = reader.next(shared, end); event !== 'more'; event = reader.next(shared, end)) {
      if (event === 'malformed') return result('malformed', false)
      if (event === 'interim') interims += 1
      if (event === 'body') body.push(Buffer.from(shared.subarray(reader.bodyStart, reader.bodyEnd)))
      if (event === 'end') {
        used += reader.position - start
        shared.fill(0x21)
        return result('end', false)
      }
    }
    used += piece.length
    shared.fill(0x21)
  }
  const finish = reader.finish()
  return result(finish, finish === 'end')
}

/** Whole, byte by byte, and cut in two at every offset. */
export function* splits(bytes: Buffer): Generator<readonly Buffer[]> {
  yield [bytes]
  yield Array.from(bytes, (_, index) => bytes.subarray(index, index + 1))
  for (let cut = 1; cut < bytes.length; cut += 1) yield [bytes.subarray(0, cut), bytes.subarray(cut)]
}
