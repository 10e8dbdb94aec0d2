/**
 * A legal hold: nothing of the log may be deleted. It is a file in the data directory, so it binds from the moment it
 * is there, with a gateway or without; the log tells who put it there and when it went. The configuration
 * can hold, too (`audit.hold`): the log is held when either says so.
 */
import { existsSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemDisk } from './disk.ts'
import { CONFIGURED_HOLD_FILE, HOLD_FILE } from './paths.ts'

export interface Hold {
  /** Unix ms. */
  readonly at: number
  readonly by: string
  readonly why: string
}

/** Null when there is none. A file that cannot be read or understood holds all the same. */
export function holdOf(dataDir: string): Hold | null {
  return readHold(join(dataDir, HOLD_FILE)) ?? readHold(join(dataDir, CONFIGURED_HOLD_FILE))
}

/** By command alone, whatever the configuration says. */
export function commandedHoldOf(dataDir: string): Hold | null {
  return readHold(join(dataDir, HOLD_FILE))
}

function readHold(path: string): Hold | null {
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
  writeHold(dataDir, HOLD_FILE, hold)
}

function writeHold(dataDir: string, file: string, hold: Hold): void {
  const path = join(dataDir, file)
  const draft = `${path}.${process.pid}.draft`
  writeFileSync(draft, `${JSON.stringify(hold)}\n`, { mode: 0o600, flush: true })
  renameSync(draft, path)
  systemDisk.syncDirectory(dataDir)
}

export function liftHold(dataDir: string): void {
  removeHold(dataDir, HOLD_FILE)
}

/** Leaves word of `audit.hold`, so that commands know of it that are told the directory and not the configuration. */
export function stateConfiguredHold(dataDir: string, isHeld: boolean, at: number): void {
  if (!isHeld) return removeHold(dataDir, CONFIGURED_HOLD_FILE)
  if (readHold(join(dataDir, CONFIGURED_HOLD_FILE)) === null)
    writeHold(dataDir, CONFIGURED_HOLD_FILE, { at, by: 'audit.hold of the configuration', why: '' })
}

function removeHold(dataDir: string, file: string): void {
  const path = join(dataDir, file)
  if (!existsSync(path)) return
  unlinkSync(path)
  systemDisk.syncDirectory(dataDir)
}
