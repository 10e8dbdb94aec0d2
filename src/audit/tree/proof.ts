/**
 * Proofs of an RFC 6962 Merkle tree, made from the roots of perfect subtrees and checked without them: that a leaf is
 * in the tree of a root (inclusion), and that one tree is the beginning of another (consistency). Made as section 2.1
 * of RFC 6962 defines them, checked as section 2.1 of RFC 9162 does. Sizes up to 2^53 − 1, so no bitwise operators.
 */
import { emptyRoot, nodeHash, TREE_HASH_BYTES } from './hash.ts'
import type { SubtreeHashes } from './tiles.ts'

/** One hash for each level of a tree of 2^53 leaves, and one more for the start of a consistency proof. */
export const PROOF_HASHES_MAX = 63

/** Root of the first `size` leaves. */
export function treeRoot(size: number, tree: SubtreeHashes): Buffer {
  return size === 0 ? emptyRoot() : rangeRoot(0, size, tree)
}

/** From the leaf's neighbour up. `index` < `size`. */
export function inclusionProof(index: number, size: number, tree: SubtreeHashes): Buffer[] {
  const proof: Buffer[] = []
  let [from, end] = [0, size]
  while (end - from > 1) {
    const middle = from + splitOf(end - from)
    if (index < middle) {
      proof.push(rangeRoot(middle, end, tree))
      end = middle
    } else {
      proof.push(rangeRoot(from, middle, tree))
      from = middle
    }
  }
  return proof.reverse()
}

/** That the first `old` of `size` leaves are those of an earlier tree. 0 < `old` ≤ `size`; empty when they are equal. */
export function consistencyProof(old: number, size: number, tree: SubtreeHashes): Buffer[] {
  const proof: Buffer[] = []
  let [from, end] = [0, size]
  while (end !== old) {
    const middle = from + splitOf(end - from)
    if (old <= middle) {
      proof.push(rangeRoot(middle, end, tree))
      end = middle
    } else {
      proof.push(rangeRoot(from, middle, tree))
      from = middle
    }
  }
  // Of a subtree that begins with the first leaf, who checks has the root already: it is the old one.
  if (from > 0) proof.push(rangeRoot(from, end, tree))
  return proof.reverse()
}

/** The root that a leaf's hash and its proof lead to; undefined when the proof is too long or too short. */
export function rootOfInclusion(
  { index, size, leaf }: { readonly index: number; readonly size: number; readonly leaf: Buffer },
  proof: readonly Buffer[],
): Buffer | undefined {
  if (index >= size || proof.some(({ length }) => length !== TREE_HASH_BYTES)) return undefined
  let [at, last, root] = [index, size - 1, leaf]
  for (const hash of proof) {
    if (last === 0) return undefined
    if (at % 2 === 1 || at === last) {
      root = joined(hash, root)
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)]
    } else root = joined(root, hash)
    ;[at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
  }
  return last === 0 ? root : undefined
}

export interface TreeHead {
  readonly size: number
  readonly root: Buffer
}

/** Whether `proof` shows that the tree `old` is the beginning of the tree `now`. */
export function isConsistent(old: TreeHead, now: TreeHead, proof: readonly Buffer[]): boolean {
  if (old.size > now.size || proof.some(({ length }) => length !== TREE_HASH_BYTES)) return false
  if (old.size === now.size) return proof.length === 0 && old.root.equals(now.root)
  if (old.size === 0) return proof.length === 0 && old.root.equals(emptyRoot())
  const isPerfect = 2 ** heightOf(old.size) === old.size
  const [first, ...rest] = isPerfect ? [old.root, ...proof] : proof
  if (first === undefined) return false
  let [at, last] = [old.size - 1, now.size - 1]
  while (at % 2 === 1) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
  let [oldRoot, root] = [first, first]
  for (const hash of rest) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      oldRoot = joined(hash, oldRoot)
      root = joined(hash, root)
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)]
    } else root = joined(root, hash)
    ;[at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
  }
  return last === 0 && oldRoot.equals(old.root) && root.equals(now.root)
}

/** `from` is where a perfect subtree of the range's size, or the next larger one, would begin. */
function rangeRoot(from: number, end: number, tree: SubtreeHashes): Buffer {
  const width = end - from
  const height = heightOf(width)
  if (2 ** height === width) return tree.hashAt(height, from / width)
  const middle = from + splitOf(width)
  return joined(rangeRoot(from, middle, tree), rangeRoot(middle, end, tree))
}

/** The largest power of two below `width`, which is at least 2. */
function splitOf(width: number): number {
  return 2 ** heightOf(width - 1)
}

/** Floor of log2, exactly: Math.log2 rounds up just below the large powers. */
function heightOf(width: number): number {
  let height = 0
  while (2 ** (height + 1) <= width) height += 1
  return height
}

const pair = Buffer.alloc(2 * TREE_HASH_BYTES)

function joined(left: Buffer, right: Buffer): Buffer {
  left.copy(pair, 0)
  right.copy(pair, TREE_HASH_BYTES)
  const node = Buffer.alloc(TREE_HASH_BYTES)
  nodeHash(pair, 0, node, 0)
  return node
}
