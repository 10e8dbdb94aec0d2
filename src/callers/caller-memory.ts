/** The memory that all lanes share of what is kept of callers. Made once for a snapshot, whatever becomes of its lanes. */
import { randomBytes } from 'node:crypto'
import type { Snapshot } from '../domain/routes.ts'
import { bucketMemory } from './bucket-table.ts'
import { claimMemory } from './claim-table.ts'

export interface CallerMemory {
  readonly buckets: SharedArrayBuffer
  /** Of idempotency keys; of no length where no model has them. */
  readonly claims: SharedArrayBuffer
  /** Drawn by chance: it decides what shares a set of a table, so that nobody can aim at another's place. */
  readonly seed: bigint
}

export function makeCallerMemory({ rates, models }: Pick<Snapshot, 'rates' | 'models'>): CallerMemory {
  const isClaimed = [...models.values()].some(({ idempotency }) => idempotency !== null)
  return {
    buckets: bucketMemory(rates.length),
    claims: isClaimed ? claimMemory() : new SharedArrayBuffer(0),
    seed: randomBytes(8).readBigUInt64LE(),
  }
}
