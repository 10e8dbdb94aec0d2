/**
 * One request waiting for, or at, a scoring thread. Ends exactly once: answered, failed, timed out or
 * cancelled; whatever comes later is dropped. Must never hold up the batch it travels in.
 */
import { type Fault, fault } from '../domain/fault.ts'
import type { Answer, AttemptResult } from '../domain/outcome.ts'
import type { AttemptLimits, Done } from '../domain/wire.ts'
import type { Sweep, Watched } from '../kernel/sweep.ts'
import type { ItemLimit } from '../workers/messages.ts'

export interface JobParts {
  readonly body: Uint8Array
  /** Length of the JSON part when the binary extension is used, else -1. */
  readonly jsonLength: number
  readonly limits: AttemptLimits
  readonly startedAt: number
  readonly sweep: Sweep
  readonly done: Done
  /** Called when the job ends before a thread took it. */
  readonly leave: (job: Job) => void
  /** Whether only other versions' work has kept it from a thread. */
  readonly starved: () => boolean
}

export class Job implements Watched {
  /** Monotonic ms by which it must be answered: its own watch, in the sweep. */
  readonly dueAt: number
  slot = -1
  #state: 'waiting' | 'running' | 'ended' = 'waiting'
  #handedAt = -1
  readonly #parts: JobParts

  constructor(parts: JobParts) {
    this.#parts = parts
    const { timeouts, deadlineAt } = parts.limits
    this.dueAt = Math.min(parts.startedAt + Math.min(timeouts.firstByteMs, timeouts.totalMs), deadlineAt)
    parts.sweep.watch(this)
  }

  get body(): Uint8Array {
    return this.#parts.body
  }

  get jsonLength(): number {
    return this.#parts.jsonLength
  }

  get startedAt(): number {
    return this.#parts.startedAt
  }

  /** What `dueAt` is: the caller's deadline, which blames nobody, or a timeout of the model. */
  get limit(): ItemLimit {
    const { timeouts, deadlineAt } = this.#parts.limits
    if (this.dueAt === deadlineAt) return 'deadline-exceeded'
    return timeouts.firstByteMs <= timeouts.totalMs ? 'first-byte-timeout' : 'total-timeout'
  }

  /** A thread takes it now. */
  hand(now: number): void {
    this.#state = 'running'
    this.#handedAt = now
  }

  answer(answer: Answer, now: number): void {
    this.#end(now, answer, null)
  }

  fail(reason: Fault, now: number): void {
    this.#end(now, null, reason)
  }

  cancel(): void {
    if (this.#state === 'ended') return
    this.#stop()
  }

  expire(now: number): void {
    const { timeouts } = this.#parts.limits
    const { limit } = this
    const where = this.#state === 'waiting' ? 'waiting for a scoring thread' : 'the model was still scoring'
    if (limit === 'deadline-exceeded') {
      this.fail(fault(limit, 'the deadline passed before the model answered', where), now)
    } else if (this.#state === 'waiting' && this.#parts.starved()) {
      // The version never had a chance to be slow, so it must not be blamed.
      this.fail(fault('queue-timeout', 'no scoring thread was free in time', where), now)
    } else if (limit === 'first-byte-timeout') {
      this.fail(fault(limit, `no answer within ${timeouts.firstByteMs} ms`, where), now)
    } else {
      this.fail(fault(limit, `no complete answer within ${timeouts.totalMs} ms`, where), now)
    }
  }

  #end(now: number, answer: Answer | null, reason: Fault | null): void {
    if (this.#state === 'ended') return
    const queueMs = (this.#handedAt === -1 ? now : this.#handedAt) - this.#parts.startedAt
    this.#stop()
    const totalMs = now - this.#parts.startedAt
    this.#parts.done(resultOf({ answer, fault: reason, queueMs, totalMs }))
  }

  #stop(): void {
    const waited = this.#state === 'waiting'
    this.#state = 'ended'
    this.#parts.sweep.unwatch(this)
    if (waited) this.#parts.leave(this)
  }
}

/** What a local version's attempt comes to. A local answer arrives whole, so first byte and total are one. */
export function resultOf(end: {
  readonly answer: Answer | null
  readonly fault: Fault | null
  readonly queueMs: number
  readonly totalMs: number
}): AttemptResult {
  const { answer, fault: reason, queueMs, totalMs } = end
  const firstByteMs = answer === null ? -1 : totalMs
  return {
    endpoint: 'pool',
    phases: { queueMs, connectMs: -1, firstByteMs, totalMs },
    reused: false,
    answer,
    fault: reason,
  }
}
