/**
 * How long callers of a dialect usually wait, in ms: what stands where a model’s `timeouts` say nothing. A
 * score is worth nothing seconds later; text is written while its reader reads it.
 */
export interface Patience {
  readonly firstByteMs: number
  readonly idleMs: number
  readonly totalMs: number
  /** From where on an answer counts as slow (`breaker.slow_after`); of a stream, its first content. */
  readonly slowAfterMs: number
}

export const SCORING: Patience = { firstByteMs: 1000, idleMs: 5000, totalMs: 2000, slowAfterMs: 800 }

export const GENERATING: Patience = {
  firstByteMs: 60_000,
  idleMs: 60_000,
  totalMs: 600_000,
  slowAfterMs: 60_000,
}
