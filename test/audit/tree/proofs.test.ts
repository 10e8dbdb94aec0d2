/**
 * Tiles and the proofs made of them, held against the definitions of RFC 6962 as they stand there: recursive, slow,
 * and written here a second time on purpose.
 */
import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { signCheckpoint } from '../../../src/audit/tree/checkpoint.ts'
import { CompactRange } from '../../../src/audit/tree/compact-range.ts'
import { keyOfSeed, noteSigner } from '../../../src/audit/tree/note.ts'
import {
  consistencyProof,
  inclusionProof,
  isConsistent,
  rootOfInclusion,
  treeRoot,
} from '../../../src/audit/tree/proof.ts'
import {
  partialTiles,
  TILE_WIDTH,
  TileBuilder,
  TileMissing,
  type TileName,
  TileTree,
  tilePath,
} from '../../../src/audit/tree/tiles.ts'
import { formatTlogProof, parseTlogProof } from '../../../src/audit/tree/tlog-proof.ts'

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const digest = createHash('sha256')
  for (const part of parts) digest.update(part)
  return digest.digest()
}
const ONE = Buffer.from([1])
/** Some 70,000 leaves: three levels of tiles. */
const LEAVES = Array.from({ length: 66_600 }, (_, index) => sha256(Buffer.from(`leaf ${index}`)))

function largestPowerBelow(count: number): number {
  let power = 1
  while (power * 2 < count) power *= 2
  return power
}

/** MTH of section 2.1. */
function naiveRoot(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha256()
  if (leaves.length === 1) return leaves[0]!
  const split = largestPowerBelow(leaves.length)
  return sha256(ONE, naiveRoot(leaves.slice(0, split)), naiveRoot(leaves.slice(split)))
}

/** PATH of section 2.1.1. */
function naivePath(index: number, leaves: readonly Buffer[]): Buffer[] {
  if (leaves.length === 1) return []
  const split = largestPowerBelow(leaves.length)
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)]
  return index < split
    ? [...naivePath(index, left), naiveRoot(right)]
    : [...naivePath(index - split, right), naiveRoot(left)]
}

/** SUBPROOF of section 2.1.2. */
function naiveSubproof(old: number, leaves: readonly Buffer[], isFromStart: boolean): Buffer[] {
  if (old === leaves.length) return isFromStart ? [] : [naiveRoot(leaves)]
  const split = largestPowerBelow(leaves.length)
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)]
  return old <= split
    ? [...naiveSubproof(old, left, isFromStart), naiveRoot(right)]
    : [...naiveSubproof(old - split, right, false), naiveRoot(left)]
}

/** Tiles by path, as a directory would hold them. */
class Shelf {
  readonly tiles = new Map<string, Buffer>()
  readonly builder = new TileBuilder((name, bytes) => this.tiles.set(tilePath(name), Buffer.from(bytes)))

  grow(size: number): this {
    while (this.builder.size < size) this.builder.append(LEAVES[this.builder.size]!, 0)
    return this
  }

  /** With the partial tiles of this size beside the full ones. */
  tree(): TileTree {
    this.builder.partials((name, bytes) => this.tiles.set(tilePath(name), Buffer.from(bytes)))
    return new TileTree(this.builder.size, (name: TileName) => this.tiles.get(tilePath(name)))
  }
}

const places = (size: number): number[] =>
  [...new Set([0, 1, size >> 1, (size >> 1) + 1, size - 2, size - 1])].filter((at) => at >= 0 && at < size)

t.test('paths of tiles are those of the specification', (t) => {
  t.equal(tilePath({ level: 0, index: 0, width: 256 }), 'tile/0/000')
  t.equal(tilePath({ level: 2, index: 1_234_067, width: 256 }), 'tile/2/x001/x234/067')
  t.equal(tilePath({ level: 1, index: 1000, width: 17 }), 'tile/1/x001/000.p/17')
  const edge = [
    { level: 0, index: 273, width: 112 },
    { level: 1, index: 1, width: 17 },
    { level: 2, index: 0, width: 1 },
  ]
  t.same(partialTiles(70_000), edge, 'the example of the specification')
  t.same(partialTiles(256), [{ level: 1, index: 0, width: 1 }])
  t.same(partialTiles(0), [])
  t.end()
})

t.test('roots and proofs of all small trees are those of the definition', (t) => {
  const shelf = new Shelf()
  const range = new CompactRange()
  let wrong = 0
  for (let size = 1; size <= 600; size += 1) {
    range.append(LEAVES[size - 1]!, 0)
    const tree = shelf.grow(size).tree()
    const leaves = LEAVES.slice(0, size)
    const root = treeRoot(size, tree)
    if (!root.equals(range.root()) || !root.equals(shelf.builder.root())) wrong += 1
    const isTried = size <= 32 || [63, 64, 65, 100, 255, 256, 257, 300, 511, 513, 600].includes(size)
    if (isTried && !root.equals(naiveRoot(leaves))) wrong += 1
    const indexes =
      size <= 24 ? leaves.map((_, index) => index) : isTried || size % 9 === 0 ? places(size) : []
    for (const index of indexes) {
      const proof = inclusionProof(index, size, tree)
      if (!rootOfInclusion({ index, size, leaf: LEAVES[index]! }, proof)?.equals(root)) wrong += 1
      if (isTried && !sameHashes(proof, naivePath(index, leaves))) wrong += 1
      const old = index + 1
      const path = consistencyProof(old, size, tree)
      const before = { size: old, root: treeRoot(old, tree) }
      if (!isConsistent(before, { size, root }, path)) wrong += 1
      if (isTried && !sameHashes(path, naiveSubproof(old, leaves, true))) wrong += 1
    }
  }
  t.equal(wrong, 0)
  t.end()
})

function sameHashes(some: readonly Buffer[], others: readonly Buffer[]): boolean {
  return some.length === others.length && some.every((hash, at) => hash.equals(others[at]!))
}

t.test('proofs out of three levels of tiles hold, and an altered one does not', (t) => {
  const shelf = new Shelf().grow(LEAVES.length)
  const whole = shelf.tree()
  const range = new CompactRange()
  for (const leaf of LEAVES) range.append(leaf, 0)
  t.ok(treeRoot(whole.size, whole).equals(range.root()))
  const sizes = fc.integer({ min: 2, max: LEAVES.length })
  fc.assert(
    fc.property(sizes, fc.nat(), fc.nat(), fc.nat(), (size, one, other, flip) => {
      // An earlier tree, out of the tiles of the later one: full where that has them, longer ones where not.
      const tree = new TileTree(size, (name) => shelf.tiles.get(tilePath(name)) ?? longer(shelf, name))
      const root = treeRoot(size, tree)
      const index = one % size
      const place = { index, size, leaf: LEAVES[index]! }
      const proof = inclusionProof(index, size, tree)
      t.ok(rootOfInclusion(place, proof)?.equals(root))
      for (const changed of alterations(proof, flip)) {
        t.notOk(rootOfInclusion(place, changed)?.equals(root), 'altered')
      }
      const elsewhere = (index + 1 + (other % (size - 1))) % size
      t.notOk(rootOfInclusion({ ...place, index: elsewhere }, proof)?.equals(root), 'of another place')
      const old = { size: 1 + (other % (size - 1)), root: treeRoot(1 + (other % (size - 1)), tree) }
      const path = consistencyProof(old.size, size, tree)
      t.ok(isConsistent(old, { size, root }, path))
      for (const changed of alterations(path, flip)) t.notOk(isConsistent(old, { size, root }, changed))
      t.notOk(isConsistent({ ...old, root: LEAVES[0]! }, { size, root }, old.size === 1 ? [] : path))
      t.notOk(isConsistent(old, { size, root: randomBytes(32) }, path))
    }),
    { numRuns: 40 },
  )
  t.end()
})

function longer(shelf: Shelf, { level, index, width }: TileName): Buffer | undefined {
  for (let wider = width + 1; wider <= TILE_WIDTH; wider += 1) {
    const found = shelf.tiles.get(tilePath({ level, index, width: wider }))
    if (found !== undefined) return found
  }
  return undefined
}

/** One hash flipped, left out, doubled; two exchanged. */
function* alterations(proof: readonly Buffer[], flip: number): Generator<Buffer[]> {
  yield [...proof, randomBytes(32)]
  if (proof.length === 0) return
  const at = flip % proof.length
  const changed = Buffer.from(proof[at]!)
  changed[flip % 32] = changed[flip % 32]! ^ (1 << (flip % 8))
  yield proof.with(at, changed)
  yield proof.toSpliced(at, 1)
  yield proof.toSpliced(at, 0, proof[at]!)
  yield proof.with(at, proof[at]!.subarray(1))
  if (proof.length > 1) yield proof.with(0, proof.at(-1)!).with(-1, proof[0]!)
}

t.test('a tree goes on from its partial tiles as if it had never stopped', (t) => {
  for (const size of [0, 1, 255, 256, 257, 511, 65_535, 65_536]) {
    const shelf = new Shelf().grow(size)
    const edge: Buffer[] = []
    shelf.builder.partials((_, bytes) => edge.push(Buffer.from(bytes)))
    const later = new Map<string, Buffer>()
    const builder = TileBuilder.from(size, edge, (name, bytes) =>
      later.set(tilePath(name), Buffer.from(bytes)),
    )
    const before = new Set(shelf.tiles.keys())
    const target = Math.min(LEAVES.length, size + 600)
    shelf.grow(target)
    while (builder.size < target) builder.append(LEAVES[builder.size]!, 0)
    builder.partials((name, bytes) => later.set(tilePath(name), Buffer.from(bytes)))
    shelf.tree()
    for (const [path, bytes] of shelf.tiles) {
      if (!before.has(path)) t.ok(later.get(path)?.equals(bytes), `${path} after ${size}`)
    }
  }
  t.end()
})

t.test('a tile that is missing or short is named', (t) => {
  const shelf = new Shelf().grow(300)
  const tree = shelf.tree()
  shelf.tiles.set('tile/0/001.p/44', Buffer.alloc(43 * 32))
  t.throws(() => treeRoot(300, tree), {
    name: 'TileMissing',
    message: 'tile/0/001.p/44 is missing or too short',
  })
  const beyond = new TileTree(300, () => Buffer.alloc(8192))
  t.throws(() => beyond.hashAt(0, 512), TileMissing, 'nothing beyond the end is made up')
  t.end()
})

t.test('the text of a proof comes back, and a damaged one is refused', (t) => {
  const shelf = new Shelf().grow(300)
  const tree = shelf.tree()
  const signer = noteSigner('example.org/log', keyOfSeed(Buffer.alloc(32, 1)))
  const root = treeRoot(300, tree)
  const checkpoint = signCheckpoint({ origin: 'example.org/log', size: 300, root }, [signer])
  const hashes = inclusionProof(77, 300, tree)
  for (const extra of [null, Buffer.alloc(0), Buffer.from('what was logged')]) {
    const text = formatTlogProof({ index: 77, hashes, checkpoint, extra })
    t.match(parseTlogProof(text), { index: 77, hashes, checkpoint, extra, head: { size: 300, root } })
  }
  const text = formatTlogProof({ index: 77, hashes, checkpoint, extra: null })
  const damaged: readonly (readonly [string, RegExp])[] = [
    [text.replace('@v1', '@v2'), /begins with/],
    [text.replace('index 77', 'index 077'), /index/],
    [text.replace('index 77\n', ''), /index/],
    [text.replace('index 77', 'extra !\nindex 77'), /base64/],
    [text.replace('\n\n', '\nAA==\n\n'), /hash/],
    [text.replace('\n\n', '\n'), /signature|hash|empty/],
    [text.replace('— ', '- '), /checkpoint/],
    ['c2sp.org/tlog-proof@v1', /empty line/],
  ]
  for (const [bad, why] of damaged) t.match(parseTlogProof(bad), why)
  t.end()
})
