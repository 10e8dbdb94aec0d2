/** Tiles and checkpoints on a disk that fails: what is there is always whole, and never ahead of its tiles. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Publisher } from '../../../src/audit/publish/publisher.ts'
import { CompactRange } from '../../../src/audit/tree/compact-range.ts'
import { leafHash, TREE_HASH_BYTES } from '../../../src/audit/tree/hash.ts'
import { treeRoot } from '../../../src/audit/tree/proof.ts'
import { partialTiles, TileTree, tilePath } from '../../../src/audit/tree/tiles.ts'
import { FaultyDisk } from '../faulty-disk.ts'
import { newFolder } from '../new-folder.ts'

function leavesFrom(first: number, count: number): Buffer {
  const leaves = Buffer.alloc(count * TREE_HASH_BYTES)
  for (let index = 0; index < count; index += 1)
    leafHash(Buffer.from(`record ${first + index}`), leaves, index * TREE_HASH_BYTES)
  return leaves
}

function rootOf(size: number): Buffer {
  const tree = new CompactRange()
  const leaves = leavesFrom(0, size)
  for (let index = 0; index < size; index += 1) tree.append(leaves, index * TREE_HASH_BYTES)
  return tree.root()
}

/** The size that the checkpoint on the disk names, whose tiles must then all be there and right. */
function publishedSize(t: Test, dataDir: string): number {
  const size = Number(readFileSync(join(dataDir, 'checkpoint'), 'utf8'))
  const tiles = new TileTree(size, (name) => readFileSync(join(dataDir, tilePath(name))))
  t.same(treeRoot(size, tiles), rootOf(size), `the tiles of ${size} leaves`)
  return size
}

t.test('a checkpoint is on the disk only with all its tiles, at every size and over restarts', async (t) => {
  const dataDir = newFolder()
  const disk = new FaultyDisk()
  let publisher = new Publisher(dataDir, disk, { size: 0, edge: [] })
  let size = 0
  for (const count of [1, 2, 200, 53, 1, 255, 700]) {
    publisher.add({ size: size + count, leaves: leavesFrom(size, count), note: String(size + count) })
    publisher.publish()
    size += count
    t.equal(publishedSize(t, dataDir), size)
    const edge = partialTiles(size).map((name) => readFileSync(join(dataDir, tilePath(name))))
    publisher = new Publisher(dataDir, disk, { size, edge })
  }
  const left = readdirSync(join(dataDir, 'tile/0'))
  t.strictSame(
    left.sort(),
    ['000', '001', '002', '003', '004.p'],
    'partial tiles go when they are not needed',
  )
})

t.test('what the disk does not take is written later, and nothing of it is half there', async (t) => {
  const dataDir = newFolder()
  const disk = new FaultyDisk()
  const publisher = new Publisher(dataDir, disk, { size: 0, edge: [] })
  publisher.add({ size: 10, leaves: leavesFrom(0, 10), note: '10' })
  publisher.publish()
  publisher.add({ size: 900, leaves: leavesFrom(10, 890), note: '900' })
  for (const room of [0, 100, 8191, 9000, 9000, 500, 9000, 40]) {
    disk.room = room
    t.throws(() => publisher.publish(), { code: 'ENOSPC' })
    t.ok(publisher.isBehind)
    t.equal(publishedSize(t, dataDir), 10, 'the checkpoint before is as good as it was')
  }
  disk.room = Infinity
  disk.failsSync = true
  t.throws(() => publisher.publish(), { code: 'EIO' })
  disk.failsSync = false
  publisher.add({ size: 901, leaves: leavesFrom(900, 1), note: '901' })
  publisher.publish()
  t.equal(publishedSize(t, dataDir), 901)
  t.notOk(publisher.isBehind)
  t.notOk(existsSync(join(dataDir, 'checkpoint.draft')))
})
