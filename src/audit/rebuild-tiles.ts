/**
 * Tiles are made of the records, so what is wrong with them loses nothing: they are written again, when all records are
 * there and are the ones that the checkpoint was made of.
 */
import { readCheckpoint } from './check-log.ts'
import type { Disk } from './disk.ts'
import { FILE_HEADER_BYTES } from './file-header.ts'
import type { Frame } from './frame.ts'
import { FrameReader } from './frame-reader.ts'
import type { Identity } from './identity.ts'
import { listSegments, type SegmentName } from './paths.ts'
import { Publisher } from './publish/publisher.ts'
import { framesOfBlock } from './sealed/block.ts'
import { SealedFile } from './sealed/sealed-file.ts'
import { CompactRange } from './tree/compact-range.ts'
import { leafHash, TREE_HASH_BYTES } from './tree/hash.ts'
import { LeafBuffer } from './tree/leaf-buffer.ts'

/** False when the segments do not give the checkpoint's root; nothing was written then. Throws what the disk throws. */
export function rebuildTiles(dataDir: string, identity: Identity, disk: Disk): boolean {
  const { size, root, note } = readCheckpoint(dataDir, identity)
  const segments = listSegments(dataDir)
  const tree = new CompactRange()
  for (const segment of segments)
    for (const leaves of leavesOf(segment, disk, { from: tree.size, to: size })) {
      for (let at = 0; at < leaves.length; at += TREE_HASH_BYTES) tree.append(leaves, at)
    }
  if (tree.size !== size || !tree.root().equals(root)) return false
  const publisher = new Publisher(dataDir, disk, { size: 0, edge: [] })
  for (const segment of segments)
    for (const leaves of leavesOf(segment, disk, { from: publisher.size, to: size })) {
      publisher.add({ size: publisher.size + leaves.length / TREE_HASH_BYTES, leaves, note })
      publisher.publish()
    }
  return true
}

/** Once, with the leaves of the records from sequence `from` on, of which `to` is the first that is not wanted. */
function* leavesOf(
  segment: SegmentName,
  disk: Disk,
  { from, to }: { from: number; to: number },
): Generator<Buffer> {
  const leaves = new LeafBuffer()
  const leaf = Buffer.alloc(TREE_HASH_BYTES)
  let next = from
  for (const { sequence, entry } of framesOf(segment, disk)) {
    if (next >= to || sequence !== next) break
    leafHash(entry, leaf, 0)
    leaves.append(leaf, 0)
    next += 1
  }
  if (leaves.count > 0) yield leaves.take()
}

function* framesOf({ path, first, isSealed }: SegmentName, disk: Disk): Generator<Frame> {
  if (!isSealed) {
    const fd = disk.openForReading(path)
    try {
      const size = disk.size(fd)
      const reader = new FrameReader(disk, fd, { at: Math.min(FILE_HEADER_BYTES, size), last: first - 1 })
      for (let frame = reader.next(size); frame !== undefined; frame = reader.next(size)) yield frame
    } finally {
      disk.close(fd)
    }
    return
  }
  const file = new SealedFile(disk, path)
  try {
    for (const { block } of file.blocks()) if (typeof block !== 'string') yield* framesOfBlock(block)
  } finally {
    file.close()
  }
}
