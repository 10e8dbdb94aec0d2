import { createHash } from 'node:crypto'
import t from 'tap'
import { CompactRange } from '../../../src/audit/tree/compact-range.ts'
import { emptyRoot, leafHash } from '../../../src/audit/tree/hash.ts'

const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()

/** The definition of RFC 6962, section 2.1, word for word. */
function rootOf(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha256()
  if (leaves.length === 1) return leaves[0]!
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  return sha256(Buffer.from([1]), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)))
}

t.test('the root is the one that RFC 6962 defines, at every size', async (t) => {
  const range = new CompactRange()
  const leaves: Buffer[] = []
  t.same(range.root(), emptyRoot())
  for (let size = 1; size <= 300; size += 1) {
    const entry = Buffer.from(`entry ${size}`)
    const hash = Buffer.alloc(40)
    leafHash(entry, hash, 5)
    leaves.push(Buffer.from(hash.subarray(5, 37)))
    t.same(leaves.at(-1), sha256(Buffer.from([0]), entry), 'a leaf is set apart from a node')
    range.append(hash, 5)
    if (!range.root().equals(rootOf(leaves))) t.fail(`wrong root at size ${size}`)
  }
  t.equal(range.size, 300)
})

t.test('a tree goes on from the roots of its perfect subtrees', async (t) => {
  const leaves = Array.from({ length: 7 }, (_, index) => sha256(Buffer.from([index])))
  const roots = [rootOf(leaves.slice(0, 4)), rootOf(leaves.slice(4, 6))]
  const range = CompactRange.of(6, roots)
  range.append(leaves[6]!, 0)
  t.same(range.root(), rootOf(leaves))
})
