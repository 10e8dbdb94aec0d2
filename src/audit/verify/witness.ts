/**
 * What somebody kept of the log while it grew: signed checkpoints, proofs (which hold one), receipts. A log can be
 * rewritten from its beginning by whoever has its key; it can not be made to agree with what others hold of it.
 */
import { openCheckpoint, parseCount } from '../tree/checkpoint.ts'
import type { VerifierKey } from '../tree/note.ts'
import { parseReceipt } from './receipt.ts'

export interface WitnessedTree {
  readonly origin: string
  readonly size: number
  readonly note: string
}

export interface WitnessedLeaf {
  readonly origin: string
  readonly sequence: number
  readonly leaf: Buffer
}

export interface Witness {
  readonly trees: readonly WitnessedTree[]
  readonly leaves: readonly WitnessedLeaf[]
}

export interface WitnessVerdict {
  /** Compared with the log, and found to agree. */
  readonly agreed: number
  /** Not compared: of earlier epochs, or outside what was looked at. */
  readonly passedOver: number
  /** In words, one for each that contradicts the log; these are bad places, too. */
  readonly contradictions: readonly string[]
}

export const WITNESS_BYTES_MAX = 16 * 1024 * 1024
const CHECKPOINTS = /^(.+)\n(\d+)\n[A-Za-z0-9+/]{43}=\n(?:.+\n)*?\n(?:— .+\n)+/gmu

/** Checkpoints and proofs one behind the other, and receipts one a line; one line saying why there is nothing in it. */
export function parseWitness(text: string): Witness | string {
  const trees: WitnessedTree[] = []
  for (const [note, origin, sizeText] of text.matchAll(CHECKPOINTS)) {
    const size = parseCount(sizeText!)
    if (size !== undefined) trees.push({ origin: origin!, size, note })
  }
  const leaves: WitnessedLeaf[] = []
  for (const line of text.split('\n')) {
    const receipt = parseReceipt(line.replace(/^modelgate-receipt:\s*/i, '').trim())
    if (typeof receipt !== 'string') leaves.push(receipt)
  }
  if (trees.length + leaves.length === 0) return 'it holds no signed checkpoint, proof or receipt'
  return { trees, leaves }
}

interface Compared {
  readonly origin: string
  readonly keys: readonly VerifierKey[]
  /** Records of the log. */
  readonly records: number
  /** Leaves of its checkpoint; null when that is not to be believed. */
  readonly signed: number | null
  /** Root of the first `size` records; undefined when it is not known. */
  readonly rootOf: (size: number) => Buffer | undefined
  /** Hash of one record; undefined when it is not known. */
  readonly leafOf: (sequence: number) => Buffer | undefined
}

export function compareWitness(witness: Witness, log: Compared): WitnessVerdict {
  const outcomes = [
    ...witness.trees.map((tree) => compareTree(tree, log)),
    ...witness.leaves.map((leaf) => compareLeaf(leaf, log)),
  ]
  return {
    agreed: outcomes.filter((outcome) => outcome === 'agrees').length,
    passedOver: outcomes.filter((outcome) => outcome === 'passed-over').length,
    contradictions: outcomes.filter((outcome) => outcome !== 'agrees' && outcome !== 'passed-over'),
  }
}

/** `agrees`, `passed-over`, or what contradicts, in words. */
function compareTree({ origin, size, note }: WitnessedTree, log: Compared): string {
  const other = otherLog(origin, log.origin)
  if (other !== undefined) return other
  const opened = openCheckpoint(note, log.keys)
  if (typeof opened === 'string') return `a checkpoint of ${size} records is not this log's: ${opened}`
  if (log.signed !== null && size > log.signed) {
    const now = size > log.records ? `it has ${log.records} now` : `its checkpoint covers ${log.signed} now`
    return `rolled back: the log had ${size} records when the witness saw it, ${now}`
  }
  const root = log.rootOf(size)
  if (root === undefined) return 'passed-over'
  if (root.equals(opened.root)) return 'agrees'
  return `forked: the first ${size} records are not the ones that the witness saw signed`
}

function compareLeaf({ origin, sequence, leaf }: WitnessedLeaf, log: Compared): string {
  const other = otherLog(origin, log.origin)
  if (other !== undefined) return other
  if (sequence >= log.records)
    return `rolled back: a receipt was given for record ${sequence}; the log has ${log.records} records now`
  const found = log.leafOf(sequence)
  if (found === undefined) return 'passed-over'
  return found.equals(leaf) ? 'agrees' : `record ${sequence} is not the one that a receipt was given for`
}

/** Of an earlier epoch of the same node there is nothing to compare here. */
function otherLog(origin: string, own: string): string | undefined {
  if (origin === own) return undefined
  const node = (name: string) => name.slice(0, name.lastIndexOf('/') + 1)
  return node(origin) === node(own) ? 'passed-over' : `what the witness saw is of another log: ${origin}`
}
