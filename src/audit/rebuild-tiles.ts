/**
 * Tiles are made of the records, so what is wrong with them loses nothing: they are written again, when all records are
 * there and are the ones that the checkpoint was made of.
 */
import { readCheckpoint } from './check-log.ts'
import type { Disk } from './disk.ts'
import type { Identity } from './identity.ts'
import { listSegments, type SegmentName } from './paths.ts'
import { Publisher } from './publish/publisher.ts'
import { openSegment } from './segment-reader.ts'
import { CompactRange } from './tree/compact-range.ts'
import { leafHashInPlace, TREE_HASH_BYTES } from './tree/hash.ts'
import { LeafBuffer } from './tree/leaf-buffer.ts'

/** False when the segments do not give the checkpoint's root; nothing was written then. Throws what the disk throws. */
export function rebuildTiles(dataDir: string, identity: Identity, disk: Disk): boolean {
  const { size, root, note } = readCheckpoint(dataDir, identity)
  const segments = listSegments(dataDir)
  const tree = new CompactRange()
  for (const segment of segments) {
    const leaves = leavesOf(segment, disk, { from: tree.size, to: size })
    for (let at = 0; at < leaves.length; at += TREE_HASH_BYTES) tree.append(leaves, at)
  }
  if (tree.size !== size || !tree.root().equals(root)) return false
  const publisher = new Publisher(dataDir, disk, { size: 0, edge: [] })
  for (const segment of segments) {
    const leaves = leavesOf(segment, disk, { from: publisher.size, to: size })
    publisher.add({ size: publisher.size + leaves.length / TREE_HASH_BYTES, leaves, note })
    publisher.publish()
  }
  return true
}

/** Leaves of the records from sequence `from` on, of which `to` is the first that is not wanted. */
function leavesOf(segment: SegmentName, disk: Disk, { from, to }: { from: number; to: number }): Buffer {
  const leaves = new LeafBuffer()
  const leaf = Buffer.alloc(TREE_HASH_BYTES)
  const reader = openSegment(disk, segment)
  for (let next = from; next < to; next += 1) {
    const frame = reader?.next()
    if (frame?.sequence !== next) break
    leafHashInPlace(frame.leafRoom, leaf, 0)
    leaves.append(leaf, 0)
  }
  reader?.close()
  return leaves.take()
}
