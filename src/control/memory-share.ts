/**
 * How much memory bodies under way may take, where `server.limits.memory` does not say: half of what the machine, or the
 * container around this process, leaves beside the process itself. The other half is for what bodies cost besides
 * their own bytes: a copy while they grow, the kernel's buffers, and memory that is not collected yet.
 */
import { totalmem } from 'node:os'
import type { Snapshot } from '../domain/routes.ts'
import { requestsPart } from '../kernel/memory-budget.ts'

const MIB = 1024 * 1024
/** Without a body, 128 MiB were measured with one lane and 170 with three (Node 20, two scoring threads). */
const PROCESS_BYTES = 80 * MIB
const EACH_THREAD_BYTES = 20 * MIB
/** With less nothing could be served; with more, one lane would hold more than its heap can follow. */
const BODIES_BYTES_MIN = 16 * MIB
export const LANE_BODIES_BYTES_MAX = 512 * MIB

/** Of the machine, or of the container where that is less. */
export function memoryBytes(): number {
  const constrained = process.constrainedMemory?.() ?? 0
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
}

/** For the whole process; `warning`: what the operator should know, or empty. */
export function bodiesShare(
  { server, scoring }: Snapshot,
  available: number,
): { readonly bytes: number; readonly warning: string } {
  const { lanes, memoryBytesMax, bodyBytesMax } = server
  const own = PROCESS_BYTES + EACH_THREAD_BYTES * (lanes + scoring.threads)
  const left = Math.max(BODIES_BYTES_MIN, Math.floor((available - own) / 2))
  const bytes = memoryBytesMax ?? Math.min(left, lanes * LANE_BODIES_BYTES_MAX)
  const each = requestsPart(Math.floor(bytes / lanes))
  const warning =
    each >= bodyBytesMax
      ? ''
      : `a lane holds at most ${Math.floor(each / MIB)} MiB of request bodies (three quarters of its part of server.limits.memory), less than one body of server.limits.body`
  return { bytes, warning }
}
