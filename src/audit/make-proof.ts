/** The proof that one record is in the log, out of the tiles and the newest checkpoint; the record itself in it. */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { systemDisk } from './disk.ts'
import { CHECKPOINT_FILE, listSegments } from './paths.ts'
import { openSegment } from './segment-reader.ts'
import { readIfThere, readTileFile } from './tile-files.ts'
import { parseCheckpointText } from './tree/checkpoint.ts'
import { parseNote, textOf } from './tree/note.ts'
import { inclusionProof } from './tree/proof.ts'
import { TileTree } from './tree/tiles.ts'
import { formatTlogProof } from './tree/tlog-proof.ts'

export type ProofMade =
  | { readonly kind: 'proof'; readonly text: string }
  /** `size`: records that the newest checkpoint covers. */
  | { readonly kind: 'not-signed-yet'; readonly size: number }
  /** There is no such record, or none any more. */
  | { readonly kind: 'unknown' }

/** A running gateway signs each second. */
const WAIT_MS = 2000
const ASK_EVERY_MS = 100

/** Like `makeProof`; of a record that no checkpoint covers yet, a little later. */
export async function awaitProof(dataDir: string, sequence: number, hasRecord: boolean): Promise<ProofMade> {
  let made = makeProof(dataDir, sequence, hasRecord)
  for (let waited = 0; made.kind === 'not-signed-yet' && waited < WAIT_MS; waited += ASK_EVERY_MS) {
    await pause(ASK_EVERY_MS)
    made = makeProof(dataDir, sequence, hasRecord)
  }
  return made
}

/** The newest checkpoint as it lies there; undefined when there is none. Throws when it is none at all. */
export function readCheckpointNote(dataDir: string): { note: string; size: number } | undefined {
  const bytes = readIfThere(join(dataDir, CHECKPOINT_FILE))
  if (bytes === undefined) return undefined
  const note = textOf(bytes)
  const parsed = note === undefined ? 'it is no text' : parseNote(note)
  const checkpoint = typeof parsed === 'string' ? parsed : parseCheckpointText(parsed.text)
  if (typeof checkpoint === 'string' || note === undefined)
    throw new Error(`${CHECKPOINT_FILE}: ${checkpoint}`)
  return { note, size: checkpoint.size }
}

/** `hasRecord`: with the record's own bytes as extra data. Throws what the disk throws, and when a tile is missing. */
export function makeProof(dataDir: string, sequence: number, hasRecord: boolean): ProofMade {
  const checkpoint = readCheckpointNote(dataDir)
  const entry = entryOf(dataDir, sequence)
  if (entry === undefined) return { kind: 'unknown' }
  const size = checkpoint?.size ?? 0
  if (checkpoint === undefined || sequence >= size) return { kind: 'not-signed-yet', size }
  const tree = new TileTree(size, (name) => readTileFile(dataDir, name))
  const hashes = inclusionProof(sequence, size, tree)
  const extra = hasRecord ? entry : null
  return {
    kind: 'proof',
    text: formatTlogProof({ index: sequence, hashes, checkpoint: checkpoint.note, extra }),
  }
}

function entryOf(dataDir: string, sequence: number): Buffer | undefined {
  const segment = listSegments(dataDir).findLast(({ first }) => first <= sequence)
  const reader = segment === undefined ? undefined : openSegment(systemDisk, segment)
  if (reader === undefined) return undefined
  try {
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (frame.sequence === sequence) return Buffer.from(frame.entry)
      if (frame.sequence > sequence) return undefined
    }
    return undefined
  } finally {
    reader.close()
  }
}
