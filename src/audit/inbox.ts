/**
 * How other processes than the gateway put something on record: they leave a note in the data directory, which the
 * gateway takes within a second, or at its next start. Only one process writes the log itself.
 *
 * A note is on the disk, whole, when leaving it succeeded. Names sort by time, so notes are taken in the order
 * in which they were left.
 */
import {
  closeSync,
  fchownSync,
  fsyncSync,
  lchownSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { type Clock, systemClock } from '../kernel/clock.ts'
import { RequestIds } from '../kernel/request-id.ts'
import { systemDisk } from './disk.ts'
import { ASKED_MAX, checkNote, type InboxNote, type InboxType, WAITING_MAX } from './inbox/inbox-note.ts'
import { inboxOf } from './paths.ts'

export interface Access {
  /** The command or route: `audit export`. */
  readonly action: string
  /** What was asked, in words; cut at ASKED_MAX. */
  readonly asked: string
  /** Records it was answered with. */
  readonly records: number
}

const ids = new RequestIds()

/** Null: the note waits in the log's directory. Else one line saying why it could not be left. */
export function leaveNote<T extends InboxType>(
  dataDir: string,
  type: T,
  note: Extract<InboxNote, { type: T }>['note'],
): string | null {
  const checked = checkNote({ type, note })
  if (typeof checked === 'string') return checked
  const folder = inboxOf(dataDir)
  try {
    // A command run by root must not leave what the gateway's own user cannot read. Links are never followed.
    const owner = process.geteuid?.() === 0 ? statSync(dataDir) : undefined
    const isNew = mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined
    if (isNew && owner !== undefined) lchownSync(folder, owner.uid, owner.gid)
    const waiting = readdirSync(folder).length
    if (waiting >= WAITING_MAX)
      return `${folder} holds ${waiting} notes that no gateway has taken; start one on this log`
    const name = `${ids.next(systemClock.wall())}.json`
    const draft = join(folder, `${name}.draft`)
    writeWhole(draft, JSON.stringify(checked), owner)
    renameSync(draft, join(folder, name))
    systemDisk.syncDirectory(folder)
    return null
  } catch (error) {
    return (error as Error).message
  }
}

/** For every command that shows records. Null: it will be on record; else why not, and the command goes on. */
export function leaveAccess(
  dataDir: string,
  { action, asked, records }: Access,
  clock: Clock = systemClock,
): string | null {
  const cut = asked.length > ASKED_MAX ? `${asked.slice(0, ASKED_MAX - 1)}…` : asked
  const note = { at: clock.wall(), by: whoAsks(), host: hostname(), action, asked: cut, records }
  const problem = leaveNote(dataDir, 'access', note)
  return problem === null ? null : `this access could not be put on record: ${problem}`
}

/** `alice (uid 1000)`: the user of this process, by name where the system has one. */
export function whoAsks(): string {
  try {
    const { username, uid } = userInfo()
    return `${username} (uid ${uid})`
  } catch {
    return `uid ${process.getuid?.() ?? -1}`
  }
}

function writeWhole(path: string, text: string, owner: { uid: number; gid: number } | undefined): void {
  const fd = openSync(path, 'wx', 0o600)
  try {
    writeFileSync(fd, text)
    if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid)
    fsyncSync(fd)
  } catch (error) {
    unlinkSync(path)
    throw error
  } finally {
    closeSync(fd)
  }
}
