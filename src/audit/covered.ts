/** How many records do not change any more, for whoever keeps something of them; never for whoever believes them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CHECKPOINT_FILE } from './paths.ts'
import { parseCheckpointText } from './tree/checkpoint.ts'
import { parseNote } from './tree/note.ts'

/** By the checkpoint on the disk, whose signature is not looked at; 0 when there is none. */
export function coveredOf(dataDir: string): number {
  try {
    const note = parseNote(readFileSync(join(dataDir, CHECKPOINT_FILE), 'utf8'))
    const checkpoint = typeof note === 'string' ? note : parseCheckpointText(note.text)
    return typeof checkpoint === 'string' ? 0 : checkpoint.size
  } catch {
    return 0
  }
}
