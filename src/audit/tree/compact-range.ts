/**
 * A Merkle tree that only grows, known by the roots of its perfect subtrees: one for each bit of its size (RFC 6962,
 * section 2.1). Appending costs one node hash on average, the root at most one for each bit.
 */
import { copyHash, emptyRoot, nodeHash, TREE_HASH_BYTES } from './hash.ts'

/** Sizes up to 2^53 − 1, and one place while two subtrees become one. */
const HEIGHT_MAX = 54

export class CompactRange {
  /** Largest subtree first. */
  readonly #roots = Buffer.alloc(HEIGHT_MAX * TREE_HASH_BYTES)
  readonly #scratch = Buffer.alloc(2 * TREE_HASH_BYTES)
  #count = 0
  #size = 0

  /** With `size` leaves, whose perfect subtrees have these roots, largest first. */
  static of(size: number, roots: readonly Uint8Array[]): CompactRange {
    const range = new CompactRange()
    range.#size = size
    for (const root of roots) {
      range.#roots.set(root, range.#count * TREE_HASH_BYTES)
      range.#count += 1
    }
    return range
  }

  get size(): number {
    return this.#size
  }

  /** Becomes the same tree as `other`; both then grow on their own. */
  set(other: CompactRange): void {
    other.#roots.copy(this.#roots, 0, 0, other.#count * TREE_HASH_BYTES)
    this.#count = other.#count
    this.#size = other.#size
  }

  /** One leaf more: its hash at `hashes[at, at + 32)`. */
  append(hashes: Buffer, at: number): void {
    const roots = this.#roots
    copyHash(hashes, at, roots, this.#count * TREE_HASH_BYTES)
    this.#count += 1
    for (let size = this.#size; size % 2 === 1; size = (size - 1) / 2) {
      this.#count -= 1
      const pairAt = (this.#count - 1) * TREE_HASH_BYTES
      nodeHash(roots, pairAt, roots, pairAt)
    }
    this.#size += 1
  }

  /** 32 bytes; those of the empty tree when there are no leaves. */
  root(): Buffer {
    if (this.#count === 0) return emptyRoot()
    const pair = this.#scratch
    const last = (this.#count - 1) * TREE_HASH_BYTES
    this.#roots.copy(pair, TREE_HASH_BYTES, last, last + TREE_HASH_BYTES)
    for (let index = this.#count - 2; index >= 0; index -= 1) {
      this.#roots.copy(pair, 0, index * TREE_HASH_BYTES, (index + 1) * TREE_HASH_BYTES)
      nodeHash(pair, 0, pair, TREE_HASH_BYTES)
    }
    return Buffer.from(pair.subarray(TREE_HASH_BYTES))
  }
}
