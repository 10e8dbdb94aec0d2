/**
 * What retention would delete: whole segments from the beginning of the log, as long as all their records are older than
 * it asks for. The segment that is being written never is. A segment's newest record is older than the header of the one
 * behind it; times are taken as never going back, so that a clock that was wrong for a while deletes nothing early.
 */
import type { Disk } from '../disk.ts'
import { type FileHeader, readHeader } from '../file-header.ts'
import { listSegments, type SegmentName } from '../paths.ts'

export interface PrunePlan {
  /** Oldest first. */
  readonly segments: readonly SegmentName[]
  /** Sequence of the first record that stays. */
  readonly through: number
  readonly records: number
  /** Root of the tree of the first `through` records. */
  readonly root: Buffer
  /** Unix ms: all records of the segments are older. */
  readonly endedAt: number
}

/** `before`: Unix ms. Null: nothing is due. Throws when a header that decides cannot be read. */
export function planPrune(dataDir: string, disk: Disk, before: number): PrunePlan | null {
  const all = listSegments(dataDir)
  let plan: PrunePlan | null = null
  let newest = 0
  for (let index = 0; index + 1 < all.length; index += 1) {
    const next = headerOf(disk, all[index + 1]!)
    newest = Math.max(newest, headerOf(disk, all[index]!).createdAt, next.createdAt)
    if (newest >= before) break
    const segments = all.slice(0, index + 1)
    const records = next.first - segments[0]!.first
    plan = { segments, through: next.first, records, root: next.rootBefore, endedAt: newest }
  }
  return plan
}

function headerOf(disk: Disk, { path, file, first }: SegmentName): FileHeader {
  const fd = disk.openForReading(path)
  try {
    const header = readHeader(disk, fd, 'segment')
    if (typeof header === 'string') throw new Error(`${file}: ${header}`)
    if (header.first !== first) throw new Error(`${file}: its header says that it begins at ${header.first}`)
    return header
  } finally {
    disk.close(fd)
  }
}
