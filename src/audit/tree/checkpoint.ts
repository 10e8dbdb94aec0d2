/**
 * Checkpoints as C2SP writes them down (c2sp.org/tlog-checkpoint): a signed note whose text says which log, how many
 * leaves, and the root of its tree. Whoever keeps one can later prove what the log was then.
 */
import { TREE_HASH_BYTES } from './hash.ts'
import { exactBase64, type NoteSigner, parseNote, signNote, type VerifierKey, verifyNote } from './note.ts'

export interface Checkpoint {
  /** Names the log. */
  readonly origin: string
  /** Leaves. */
  readonly size: number
  /** 32 bytes. */
  readonly root: Buffer
}

export interface SignedCheckpoint extends Checkpoint {
  /** The whole note, as it came. */
  readonly note: string
  readonly signedBy: readonly VerifierKey[]
}

export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`
}

export function signCheckpoint(checkpoint: Checkpoint, signers: readonly NoteSigner[]): string {
  return signNote(checkpointText(checkpoint), signers)
}

/** The text of a note; extension lines are allowed and not looked at. One line saying why this is no checkpoint. */
export function parseCheckpointText(text: string): Checkpoint | string {
  const lines = text.split('\n')
  if (lines.pop() !== '') return 'a checkpoint ends with a newline'
  const [origin = '', sizeText = '', rootText = ''] = lines
  if (lines.length < 3 || lines.includes(''))
    return 'a checkpoint has at least three lines, none of them empty'
  const size = parseCount(sizeText)
  if (size === undefined) return `'${sizeText}' is no size of a tree`
  const root = exactBase64(rootText)
  if (root === undefined || root.length !== TREE_HASH_BYTES) return 'the root is no base64 of 32 bytes'
  return { origin, size, root }
}

/**
 * The checkpoint of a note, signed by at least one of `keys` whose name is the origin; one line saying why it is
 * not to be believed. Signatures by other keys of `keys` have to be right too, but are not enough.
 */
export function openCheckpoint(note: string, keys: readonly VerifierKey[]): SignedCheckpoint | string {
  const parsed = parseNote(note)
  if (typeof parsed === 'string') return parsed
  const checkpoint = parseCheckpointText(parsed.text)
  if (typeof checkpoint === 'string') return checkpoint
  const signedBy = verifyNote(parsed, keys)
  if (typeof signedBy === 'string') return signedBy
  if (!signedBy.some(({ name }) => name === checkpoint.origin)) {
    return `the checkpoint is of ${checkpoint.origin}, but no key of that name signed it`
  }
  return { ...checkpoint, note, signedBy }
}

/** A decimal without leading zeros, at most 2^53 − 1. */
export function parseCount(text: string): number | undefined {
  if (!/^(0|[1-9]\d{0,15})$/.test(text)) return undefined
  const count = Number(text)
  return Number.isSafeInteger(count) ? count : undefined
}
