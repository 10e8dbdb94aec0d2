/**
 * What the report rests on, so that nobody has to believe it: whose log, what was signed, which records, and the
 * commands that check all of it. Reads a few small files of the data directory and
 * writes nothing.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { makeProof } from '../make-proof.ts'
import { openCheckpoint, type SignedCheckpoint } from '../tree/checkpoint.ts'
import { formatVerifierKey, parseVerifierKeys } from '../tree/note.ts'
import type { Facts } from './facts.ts'
import { isoOf } from './field.ts'
import type { CheckpointSeen, Evidence } from './report.ts'

export function evidenceOf(dataDir: string, facts: Pick<Facts, 'sequences' | 'records'>): Evidence {
  const { sequences, records } = facts
  const found = checkpointOf(dataDir)
  const checkpoint = typeof found === 'string' ? null : found
  return {
    origin: firstLineOf(join(dataDir, 'origin')),
    checkpoint,
    problem: typeof found === 'string' ? found : '',
    sequences: sequences === null ? null : { ...sequences, records },
    isCovered: checkpoint !== null && sequences !== null && sequences.last < checkpoint.size,
    proofs: sequences === null ? [] : proofsOf(dataDir, sequences),
    commands: commandsFor(sequences),
  }
}

/** Of the first and the last record, with their bytes; none where the checkpoint or the tiles do not give one. */
function proofsOf(dataDir: string, { first, last }: { first: number; last: number }): Evidence['proofs'] {
  try {
    return [...new Set([first, last])].flatMap((sequence) => {
      const made = makeProof(dataDir, sequence, true)
      return made.kind === 'proof' ? [{ sequence, lines: made.text.trimEnd().split('\n') }] : []
    })
  } catch {
    return []
  }
}

function commandsFor(sequences: Facts['sequences']): string[] {
  if (sequences === null) return ['modelgate audit verify']
  const { first, last } = sequences
  return [
    `modelgate audit verify --from ${first} --to ${last}`,
    `modelgate audit proof ${first}`,
    `modelgate audit proof ${last}`,
  ]
}

/** One line saying why there is none that can be believed. */
function checkpointOf(dataDir: string): CheckpointSeen | string {
  const file = join(dataDir, 'checkpoint')
  const note = textIn(file)
  if (note === undefined) return 'there is no checkpoint: nothing of this log is signed yet'
  const keys = parseVerifierKeys(textIn(join(dataDir, 'keys', 'log.vkey')) ?? '')
  if (typeof keys === 'string') return `keys/log.vkey: ${keys}`
  const opened: SignedCheckpoint | string = openCheckpoint(note, keys)
  if (typeof opened === 'string') return `the checkpoint is not to be believed: ${opened}`
  return {
    size: opened.size,
    root: opened.root.toString('base64'),
    at: isoOf(statSync(file).mtimeMs),
    signedBy: opened.signedBy.map(formatVerifierKey),
  }
}

function firstLineOf(file: string): string {
  return (textIn(file) ?? '').split('\n', 1)[0]!.trim()
}

function textIn(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
