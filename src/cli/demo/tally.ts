/**
 * What callers saw, counted as the answers come. Knows nothing of the gateway's own numbers, so the two can
 * be held against each other.
 */
import { wilson } from '../../analysis/interval.ts'
import type { CallerAnswer } from './load.ts'

/** Enough of an answer to look for its record. */
export interface Receipt {
  readonly id: string
  readonly status: number
  readonly version: string
  readonly degraded: string
  readonly error: string
}

export interface Quality {
  readonly model: string
  readonly version: string
  /** Answers whose label was held against the truth. */
  readonly rows: number
  readonly right: number
  readonly accuracy: number
  /** 95 %. */
  readonly from: number
  readonly to: number
  /** Mean of −ln(chance given to what was true), in nats; lower is better. */
  readonly logLoss: number
}

/** What always giving one answer would come to: the least a version should beat. */
export interface Baseline {
  readonly model: string
  /** The commonest true label. */
  readonly label: number
  readonly rows: number
  readonly accuracy: number
}

interface Sums {
  rows: number
  right: number
  loss: number
}

/** A version that was entirely sure and wrong costs this much, not infinity. */
const CHANCE_MIN = 1e-15

export class Tally {
  ok = 0
  degraded = 0
  failed = 0
  readonly receipts: Receipt[] = []
  readonly statuses = new Map<string, number>()
  readonly #quality = new Map<string, Sums>()
  readonly #truths = new Map<string, Map<number, number>>()
  readonly #tookMs: number[] = []

  add(answer: CallerAnswer): void {
    const { status, problem, requestId: id, version, degraded, error, tookMs } = answer
    this.#tookMs.push(tookMs)
    if (status !== 200) this.failed += 1
    else if (degraded !== '') this.degraded += 1
    else this.ok += 1
    bump(this.statuses, status === 0 ? problem : String(status))
    if (id !== '') this.receipts.push({ id, status, version, degraded, error })
    if (status !== 200 || version === '') return
    this.#judge(`${answer.cue.set.model}\n${version}`, answer)
  }

  get answers(): number {
    return this.ok + this.degraded + this.failed
  }

  /** As the callers' clocks have it, in ms. */
  percentiles(percents: readonly number[]): number[] {
    const sorted = [...this.#tookMs].sort((a, b) => a - b)
    return percents.map((percent) => sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? 0)
  }

  quality(): Quality[] {
    return [...this.#quality].map(([name, { rows, right, loss }]) => {
      const [model = '', version = ''] = name.split('\n')
      return {
        model,
        version,
        rows,
        right,
        accuracy: right / rows,
        ...wilson(right, rows),
        logLoss: loss / rows,
      }
    })
  }

  baselines(): Baseline[] {
    return [...this.#truths].map(([model, labels]) => {
      const rows = [...labels.values()].reduce((sum, times) => sum + times, 0)
      const [label, times] = [...labels].reduce((most, one) => (one[1] > most[1] ? one : most))
      return { model, label, rows, accuracy: times / rows }
    })
  }

  #judge(name: string, { cue, outputs }: CallerAnswer): void {
    const prediction = cue.set.read(outputs, cue.row)
    if (prediction === null) return
    const sums = this.#quality.get(name) ?? { rows: 0, right: 0, loss: 0 }
    this.#quality.set(name, sums)
    sums.rows += 1
    const truth = cue.set.truth(cue.row)
    if (prediction.label === truth) sums.right += 1
    sums.loss -= Math.log(Math.max(prediction.chanceOfTruth, CHANCE_MIN))
    const truths = this.#truths.get(cue.set.model) ?? new Map<number, number>()
    this.#truths.set(cue.set.model, truths)
    truths.set(truth, (truths.get(truth) ?? 0) + 1)
  }
}

export function bump(counts: Map<string, number>, name: string, by = 1): void {
  counts.set(name, (counts.get(name) ?? 0) + by)
}
