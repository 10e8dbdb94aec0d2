/** Whether one record was in a log, from a proof alone: nothing else of the log is needed but its key. */
import { decodeSequenced, type LogRecord } from '../decode.ts'
import { ENTRY_FROM, FRAME_HEAD_BYTES } from '../frame.ts'
import { openCheckpoint } from '../tree/checkpoint.ts'
import { leafHash, TREE_HASH_BYTES } from '../tree/hash.ts'
import { formatVerifierKey, type VerifierKey } from '../tree/note.ts'
import { rootOfInclusion } from '../tree/proof.ts'
import { parseTlogProof } from '../tree/tlog-proof.ts'
import { parseReceipt } from './receipt.ts'

export interface ProofVerdict {
  readonly isProven: boolean
  /** Why not; empty when it is. */
  readonly problem: string
  readonly origin: string
  readonly sequence: number
  /** Records that the checkpoint of the proof covers. */
  readonly size: number
  /** Hex. */
  readonly leaf: string
  readonly signedBy: readonly string[]
  /** Null when the proof does not hold it. */
  readonly record: LogRecord | null
}

const HEAD_BYTES = FRAME_HEAD_BYTES - ENTRY_FROM
const ENTRY_BYTES_MAX = 65_535
const NOT_PROVEN = { isProven: false, origin: '', sequence: 0, size: 0, leaf: '', signedBy: [], record: null }

/**
 * `entry`: the record, where the proof does not hold it; `receipt`: what a caller was given. One of the three has to
 * say what is to be proven, and those that do have to agree.
 */
export function verifyProof(
  text: string,
  keys: readonly VerifierKey[],
  given: { readonly receipt?: string | undefined; readonly entry?: Buffer | undefined } = {},
): ProofVerdict {
  const proof = parseTlogProof(text)
  if (typeof proof === 'string') return { ...NOT_PROVEN, problem: proof }
  const { index, hashes, extra } = proof
  const no = (problem: string) => ({
    ...NOT_PROVEN,
    problem,
    origin: proof.head.origin,
    sequence: index,
    size: proof.head.size,
  })
  const checkpoint = openCheckpoint(proof.checkpoint, keys)
  if (typeof checkpoint === 'string') return no(checkpoint)
  const receipt = given.receipt === undefined ? undefined : parseReceipt(given.receipt)
  if (typeof receipt === 'string') return no(receipt)
  const entry = given.entry ?? extra ?? undefined
  const leaf = entry === undefined ? receipt?.leaf : leafOf(entry, index)
  if (leaf === undefined)
    return no('neither the proof nor you say which record it is about: give a receipt or the record')
  if (typeof leaf === 'string') return no(leaf)
  if (receipt !== undefined) {
    if (receipt.origin !== checkpoint.origin) return no(`the receipt is of another log: ${receipt.origin}`)
    if (receipt.sequence !== index) return no(`the receipt is for record ${receipt.sequence}`)
    if (!receipt.leaf.equals(leaf)) return no('the receipt is for another record than the one shown')
  }
  const root = rootOfInclusion({ index, size: checkpoint.size, leaf }, hashes)
  if (root?.equals(checkpoint.root) !== true) return no('the hashes do not lead to the root that was signed')
  return {
    isProven: true,
    problem: '',
    origin: checkpoint.origin,
    sequence: index,
    size: checkpoint.size,
    leaf: leaf.toString('hex'),
    signedBy: checkpoint.signedBy.map(formatVerifierKey),
    record: entry === undefined ? null : recordOf(entry, index),
  }
}

/** An entry begins with its sequence, which is the index of its leaf. */
function leafOf(entry: Buffer, index: number): Buffer | string {
  if (entry.length < HEAD_BYTES || entry.length > ENTRY_BYTES_MAX)
    return 'the record has no length that a record can have'
  if (entry.readBigUInt64LE(0) !== BigInt(index)) return 'the record shown is not the one of this index'
  const leaf = Buffer.alloc(TREE_HASH_BYTES)
  leafHash(entry, leaf, 0)
  return leaf
}

function recordOf(entry: Buffer, sequence: number): LogRecord {
  return decodeSequenced(entry[8]!, entry.subarray(HEAD_BYTES), { file: '', at: 0, sequence })
}
