/** Reads the answers of test/corpus/http1 and feeds them to the reader in any pieces. */
import { Buffer } from 'node:buffer'
import { AnswerReader } from '../../../src/forward/http1/answer-reader.ts'
import { bytesOf, type CorpusEntry, readCorpus } from '../../support/read-corpus.ts'

export const corpus = (file: 'good.txt' | 'evil.txt'): CorpusEntry[] => readCorpus(`http1/${file}`)
export { bytesOf }

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
