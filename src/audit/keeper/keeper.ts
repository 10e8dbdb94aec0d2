/**
 * The housekeeping of the log, a bounded step of a job at a time: nothing here is ever waited for. A job that fails
 * is told about once, left alone for a while, and tried again; the others go on.
 */
import type { Clock } from '../../kernel/clock.ts'

export interface KeeperJob {
  /** For people: `sealing`, `indexing`. */
  readonly name: string
  /** One bounded piece of work; true: more waits. Whoever dies in it leaves nothing that the next step does not mend. */
  step(): boolean | Promise<boolean>
}

/** Until a job that failed is tried again. */
export const FAILED_REST_MS = 30_000

export class Keeper {
  readonly #clock: Clock
  readonly #tell: (words: string) => void
  readonly #jobs: { readonly job: KeeperJob; restsUntil: number; hasFailed: boolean }[]

  /** `tell`: one line for the operator when a job fails, and when it is well again. */
  constructor(jobs: readonly KeeperJob[], clock: Clock, tell: (words: string) => void) {
    this.#jobs = jobs.map((job) => ({ job, restsUntil: Number.NEGATIVE_INFINITY, hasFailed: false }))
    this.#clock = clock
    this.#tell = tell
  }

  /** A step of each job; true when one of them has more to do. */
  async round(): Promise<boolean> {
    let isMore = false
    for (const kept of this.#jobs) {
      if (this.#clock.now() < kept.restsUntil) continue
      try {
        isMore = (await kept.job.step()) || isMore
        if (kept.hasFailed) this.#tell(`${kept.job.name} of the log goes on`)
        kept.hasFailed = false
      } catch (error) {
        if (!kept.hasFailed)
          this.#tell(`${kept.job.name} of the log failed and is tried again: ${(error as Error).message}`)
        kept.hasFailed = true
        kept.restsUntil = this.#clock.now() + FAILED_REST_MS
      }
    }
    return isMore
  }
}
