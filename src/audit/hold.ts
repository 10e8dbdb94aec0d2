/**
 * A legal hold: nothing of the log may be deleted. It is a file in the data directory, so it binds from the moment it
 * is there, with a gateway or without; the log tells who put it there and when it went. The configuration
 * can hold, too (`audit.hold`): the log is held when either says so.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemDisk } from './disk.ts'
import { HOLD_FILE } from './paths.ts'

export interface Hold {
  /** Unix ms. */
  readonly at: number
  readonly by: string
  readonly why: string
}

/** Null when there is none. A file that cannot be read or understood holds all the same. */
export function holdOf(dataDir: string): Hold | null {
  const path = join(dataDir, HOLD_FILE)
  try {
    const { at, by, why } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Hold>
    return { at: Number(at ?? 0), by: String(by ?? ''), why: String(why ?? '') }
  } catch (error) {
    const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT'
    return isGone ? null : { at: 0, by: '', why: `its file cannot be read: ${(error as Error).message}` }
  }
}

/** On the disk when this returns. Throws the system's error. */
export function putHold(dataDir: string, hold: Hold): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const path = join(dataDir, HOLD_FILE)
  const draft = `${path}.${process.pid}.draft`
  writeFileSync(draft, `${JSON.stringify(hold)}\n`, { mode: 0o600, flush: true })
  renameSync(draft, path)
  systemDisk.syncDirectory(dataDir)
}

export function liftHold(dataDir: string): void {
  const path = join(dataDir, HOLD_FILE)
  if (!existsSync(path)) return
  unlinkSync(path)
  systemDisk.syncDirectory(dataDir)
}
