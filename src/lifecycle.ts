/**
 * The order in which a gateway stops, which is the order of who depends on whom: readiness is taken back, and that is
 * given time to be noticed; the entrance closes, lanes finish what is under way and end, the log takes their last records and closes, the admin server
 * goes last, so that an operator can watch all of it.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { AuditWriter } from './audit/open-audit.ts'
import type { Clock } from './kernel/clock.ts'

export interface Running {
  readonly clock: Clock
  readonly audit: AuditWriter
  readonly crew: { drain(graceMs: number): Promise<number> }
  readonly admin: { close(): Promise<void> }
  /** Tells lanes something now and then; null when there is nothing to tell. */
  readonly certificates: { stop(): Promise<void> } | null
  /** Ask endpoints whether they are well; what they said last stays in use. */
  readonly probes: { stop(): void }
  /** Seals bodies that lanes handed over, and takes what other processes want on record. */
  readonly keeping: { stop(): Promise<void> }
  /** Read by readiness; true from the first moment of a stop. */
  isDraining: boolean
}

export interface Stopping {
  /** For the log: `SIGTERM`, `demo finished`, … */
  readonly cause: string
  /** How long callers are served as before, so that whoever asks for readiness can turn away first. */
  readonly drainDelayMs: number
  readonly graceMs: number
}

export async function stopInOrder(
  running: Running,
  { cause, drainDelayMs, graceMs }: Stopping,
): Promise<{ readonly abandoned: number }> {
  running.isDraining = true
  running.probes.stop()
  await running.certificates?.stop()
  if (drainDelayMs > 0) await pause(drainDelayMs)
  const abandoned = await running.crew.drain(graceMs)
  await running.keeping.stop()
  running.audit.event('stop', { at: running.clock.wall(), cause, abandoned })
  await running.audit.close()
  await running.admin.close()
  return { abandoned }
}
