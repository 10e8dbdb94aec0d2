/**
 * How the gateway itself puts on record who read what by its admin API. What cannot be recorded now (the disk is full,
 * the log is closed) waits in the inbox like the notes of other processes.
 */
import type { Clock } from '../kernel/clock.ts'
import { type Access, leaveNote } from './inbox.ts'
import type { AuditWriter } from './open-audit.ts'

/** `client`: address of who asked. */
export type RecordAccess = (access: Access, client: string) => void

export function accessRecorder(
  audit: Pick<AuditWriter, 'recordIfAble'>,
  dataDir: string,
  clock: Clock,
): RecordAccess {
  return (access, client) => {
    const note = { at: clock.wall(), by: 'admin API', host: client, ...access }
    if (!audit.recordIfAble('access', note)) leaveNote(dataDir, 'access', note)
  }
}
