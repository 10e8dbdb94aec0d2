/**
 * The two hashes of an RFC 6962 Merkle tree, written into a buffer. A leaf is SHA-256(0x00 ‖ entry), a node
 * SHA-256(0x01 ‖ left ‖ right).
 *
 * The digest is asked for as latin1 text and written back as bytes: making a Buffer for it costs more than the hash
 * itself. µs for an entry of 390 B and for a node, with 'buffer' in brackets: 0.7 (1.8), 0.5 (1.5) on Node 20.
 */
import { hash } from 'node:crypto'

export const TREE_HASH_BYTES = 32
const PAIR_BYTES = 2 * TREE_HASH_BYTES
/** The largest entry is a frame from its sequence on: ten bytes and the payload. */
const ENTRY_BYTES_MAX = 65_535

const leaf = Buffer.alloc(1 + ENTRY_BYTES_MAX)
const node = Buffer.alloc(1 + PAIR_BYTES)
node[0] = 1

/** Hash of `entry` as a leaf, into `target[at, at + 32)`. At most 65,535 bytes. */
export function leafHash(entry: Uint8Array, target: Buffer, at: number): void {
  leaf.set(entry, 1)
  target.write(hash('sha256', leaf.subarray(0, 1 + entry.length), 'binary'), at, 'latin1')
}

/** Hash of two neighbours that lie one after the other at `pairAt`, into `target[at, at + 32)`; they may overlap. */
export function nodeHash(pair: Buffer, pairAt: number, target: Buffer, at: number): void {
  pair.copy(node, 1, pairAt, pairAt + PAIR_BYTES)
  target.write(hash('sha256', node, 'binary'), at, 'latin1')
}

/** Of a tree without leaves. */
export function emptyRoot(): Buffer {
  return hash('sha256', Buffer.alloc(0), 'buffer')
}
