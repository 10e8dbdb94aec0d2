/**
 * What must be in the log after a kill, and whether it is: each answer whose head a caller received (but in best-effort
 * mode), under the sequence that its receipt names; each request that the endpoint saw; nobody twice; and of those
 * that were answered none as unknown.
 */
import { listSegments } from '../../src/audit/paths.ts'
import { readLog } from '../../src/audit/read.ts'
import type { Answered } from './callers.ts'

export type Mode = 'durable' | 'batched' | 'best-effort'

interface Found {
  readonly sequence: number
  readonly fault: string
}

export class Ledger {
  readonly counts = { answered: 0, receipts: 0, seen: 0, records: 0, unknown: 0 }
  readonly #dataDir: string
  readonly #modeOf: (model: string) => Mode
  readonly #found = new Map<string, Found>()
  #answered: Answered[] = []
  /** By id, the path that the endpoint saw: model and mood. */
  #seen: [string, string][] = []
  /** Sequence of the first record that was not read yet. */
  #next = 0

  constructor(dataDir: string, modeOf: (model: string) => Mode) {
    this.#dataDir = dataDir
    this.#modeOf = modeOf
  }

  expect(answered: readonly Answered[], seen: ReadonlyMap<string, string>): void {
    this.#answered.push(...answered)
    this.#seen.push(...seen)
  }

  /** After a start: what is not as it must be, in words. */
  async check(): Promise<string[]> {
    const broken = await this.#read()
    for (const { id, model, receipt } of this.#answered) {
      this.counts.answered += 1
      const found = this.#found.get(id)
      if (found === undefined) {
        if (this.#modeOf(model) !== 'best-effort')
          broken.push(`${id} of ${model} was answered and is not in the log`)
        continue
      }
      if (found.fault === 'unknown_crash')
        broken.push(`${id} of ${model} was answered and is told as unknown`)
      if (receipt === '') continue
      this.counts.receipts += 1
      if (Number(receipt.split(';')[1]) !== found.sequence)
        broken.push(`${id} has the receipt ${receipt} and is record ${found.sequence}`)
    }
    for (const [id, path] of this.#seen) {
      this.counts.seen += 1
      const model = path.split('/')[1] ?? ''
      if (!this.#found.has(id) && this.#modeOf(model) !== 'best-effort')
        broken.push(`${id} reached the endpoint (${path}) and is not in the log`)
    }
    this.#answered = []
    this.#seen = []
    return broken
  }

  async #read(): Promise<string[]> {
    const broken: string[] = []
    const from = Math.max(
      0,
      ...listSegments(this.#dataDir).map(({ first }) => (first <= this.#next ? first : 0)),
    )
    for await (const record of readLog(this.#dataDir, from)) {
      const { sequence } = record.place
      if (sequence === null || sequence < this.#next) continue
      this.counts.records += 1
      this.#next = sequence + 1
      if (record.type !== 'decision') continue
      const { id, fault } = record.decision
      const before = this.#found.get(id)
      if (before !== undefined) broken.push(`${id} is record ${before.sequence} and record ${sequence}`)
      if (fault?.code === 'unknown_crash') this.counts.unknown += 1
      this.#found.set(id, { sequence, fault: fault?.code ?? '' })
    }
    return broken
  }
}
