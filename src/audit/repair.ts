/**
 * What is done with a log that may not be opened: it is set aside whole, as evidence, and a new one begins. Nothing is
 * deleted and nothing changed in it. Its directory, `epochs/<n>/`, is a log of its own for whoever checks it.
 *
 * The origin goes last, so that dying in between leaves a log that still may not be opened, and asking again goes on.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkLog, TilesWrong } from './check-log.ts'
import { systemDisk } from './disk.ts'
import { epochOf, makeIdentity, openIdentity, readOriginFile } from './identity.ts'
import {
  CHECKPOINT_FILE,
  epochDir,
  indexOf,
  KEY_LIST_FILE,
  ORIGIN_FILE,
  segmentsOf,
  tilesOf,
} from './paths.ts'
import { rebuildTiles } from './rebuild-tiles.ts'
import type { Acknowledgement } from './records/notes.ts'

const ACKNOWLEDGED_FILE = 'acknowledged.json'

/** Null when the log can be opened, if need be with tiles that were made again. Changes nothing else. */
export function problemOf(dataDir: string): string | null {
  try {
    const identity = openIdentity(dataDir)
    try {
      checkLog(dataDir, identity, systemDisk)
    } catch (error) {
      if (!(error instanceof TilesWrong) || !rebuildTiles(dataDir, identity, systemDisk)) throw error
      checkLog(dataDir, identity, systemDisk)
    }
    return null
  } catch (error) {
    return (error as Error).message
  }
}

/** The caller has the lock. Tells the origin of the new log, and where the old one lies. */
export function setAside(
  dataDir: string,
  why: Pick<Acknowledgement, 'at' | 'by' | 'words' | 'problem'>,
): { readonly origin: string; readonly folder: string } {
  const origin = readOriginFile(dataDir)
  if (origin === undefined)
    throw new Error(`${ORIGIN_FILE} is missing: restore it, or use another data_dir and keep this one`)
  const epoch = epochOf(origin)!
  const folder = epochDir(dataDir, epoch)
  mkdirSync(join(folder, 'keys'), { recursive: true, mode: 0o700 })
  const note = join(dataDir, CHECKPOINT_FILE)
  const acknowledged = join(folder, ACKNOWLEDGED_FILE)
  if (!existsSync(acknowledged)) {
    const checkpoint = existsSync(note) ? readFileSync(note, 'utf8') : ''
    const text: Acknowledgement = { ...why, origin, checkpoint }
    writeFileSync(acknowledged, `${JSON.stringify(text, null, 2)}\n`, { mode: 0o600, flush: true })
  }
  if (existsSync(join(dataDir, KEY_LIST_FILE)))
    copyFileSync(join(dataDir, KEY_LIST_FILE), join(folder, KEY_LIST_FILE))
  for (const of of [segmentsOf, tilesOf, indexOf]) move(of(dataDir), of(folder))
  move(note, join(folder, CHECKPOINT_FILE))
  copyFileSync(join(dataDir, ORIGIN_FILE), join(folder, ORIGIN_FILE))
  systemDisk.syncDirectory(folder)
  const next = makeIdentity(dataDir, origin.replace(/\d+$/, String(epoch + 1)))
  return { origin: next.origin, folder }
}

/** Of the epoch before `origin`'s; undefined when there was none. */
export function acknowledgementBefore(dataDir: string, origin: string): Acknowledgement | undefined {
  const path = join(epochDir(dataDir, epochOf(origin)! - 1), ACKNOWLEDGED_FILE)
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Acknowledgement) : undefined
}

function move(from: string, to: string): void {
  if (existsSync(from) && !existsSync(to)) renameSync(from, to)
}
