/** What stands beside the records and says of all of them: whose log it is, its keys, its checkpoint. */
import { join } from 'node:path'
import { readKeyList, readOriginFile } from '../identity.ts'
import { CHECKPOINT_FILE, KEY_LIST_FILE, ORIGIN_FILE } from '../paths.ts'
import { readIfThere } from '../tile-files.ts'
import { type Checkpoint, parseCheckpointText } from '../tree/checkpoint.ts'
import { parseNote, textOf, type VerifierKey } from '../tree/note.ts'
import type { BadPlaces } from './log-verdict.ts'

export interface CheckpointFound extends Checkpoint {
  readonly note: string
}

export interface Anchors {
  readonly origin: string | undefined
  /** Those in keys/log.vkey. */
  readonly listed: readonly VerifierKey[]
  /** What it says; who signed it is looked at last, when all keys are known. */
  readonly checkpoint: CheckpointFound | undefined
}

/** `isPinned`: who asks gave keys, so it is no matter if there is no list of them. */
export function readAnchors(dataDir: string, isPinned: boolean, bad: BadPlaces): Anchors {
  return {
    origin: readOrigin(dataDir, bad),
    listed: readListed(dataDir, isPinned, bad),
    checkpoint: readCheckpoint(dataDir, bad),
  }
}

function readOrigin(dataDir: string, bad: BadPlaces): string | undefined {
  try {
    const origin = readOriginFile(dataDir)
    if (origin === undefined) bad.about(ORIGIN_FILE, 'the file is missing; it names the log')
    return origin
  } catch (error) {
    bad.about(ORIGIN_FILE, (error as Error).message)
    return undefined
  }
}

function readListed(dataDir: string, isPinned: boolean, bad: BadPlaces): readonly VerifierKey[] {
  try {
    return readKeyList(dataDir)
  } catch (error) {
    if (!isPinned) bad.about(KEY_LIST_FILE, (error as Error).message)
    return []
  }
}

function readCheckpoint(dataDir: string, bad: BadPlaces): CheckpointFound | undefined {
  const bytes = readIfThere(join(dataDir, CHECKPOINT_FILE))
  const note = bytes === undefined ? undefined : textOf(bytes)
  const parsed = note === undefined ? 'it is missing, or no text' : parseNote(note)
  const checkpoint = typeof parsed === 'string' ? parsed : parseCheckpointText(parsed.text)
  if (typeof checkpoint !== 'string' && note !== undefined) return { ...checkpoint, note }
  bad.about(CHECKPOINT_FILE, typeof checkpoint === 'string' ? checkpoint : 'it is missing')
  return undefined
}
