/** Every whole record of a segment, sealed or not, in bounded memory. What is damaged is passed over: checkers tell it. */
import type { Disk } from './disk.ts'
import { FILE_HEADER_BYTES } from './file-header.ts'
import type { Frame } from './frame.ts'
import { FrameReader } from './frame-reader.ts'
import type { SegmentName } from './paths.ts'
import { framesOfBlock } from './sealed/block.ts'
import { SealedFile } from './sealed/sealed-file.ts'

/** Frames are valid until the next one is asked for. Throws what the disk throws. */
export function* segmentFrames({ path, first, isSealed }: SegmentName, disk: Disk): Generator<Frame> {
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
