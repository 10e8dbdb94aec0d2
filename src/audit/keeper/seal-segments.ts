/**
 * Seals closed segments, the oldest first, one a step: to a quarter of their bytes, with an index of request ids
 * (sealed/). The newest segment is being written and stays, and so does what no checkpoint covers: what is sealed is never
 * to be put in order after a crash. What is damaged stays as it is; what the disk would not take is tried again.
 */
import { type Disk, FREE_BYTES_MIN } from '../disk.ts'
import { listSealingDrafts, listSegments, type SegmentName, segmentsOf } from '../paths.ts'
import { DirectoryUnsynced, finishSealing, sealSegment } from '../sealed/seal-segment.ts'
import type { KeeperJob } from './keeper.ts'

/** Damaged segments remembered; of more, some are tried again in vain. */
const PASSED_OVER_MAX = 1000

export interface SealSegmentsParts {
  readonly dataDir: string
  readonly disk: Disk
  /** Records that the checkpoint on the disk covers. */
  readonly covered: () => number
  /** One line for the operator, once for each segment that stays as it is. */
  readonly onKept?: (words: string) => void
}

export class SealSegments implements KeeperJob {
  readonly name = 'sealing'
  readonly #parts: SealSegmentsParts
  /** Sequences with which damaged segments begin. */
  readonly #passedOver = new Set<number>()
  #isCleared = false
  /** What the directory holds is not known to survive: nothing is removed any more in this run. */
  #isOver = false

  constructor(parts: SealSegmentsParts) {
    this.#parts = parts
  }

  /** Seals one segment, if there is one; true: there may be another. Throws what the disk throws; the next step mends it. */
  step(): boolean {
    if (this.#isOver) return false
    try {
      this.#removeDrafts()
      const segment = this.#next()
      if (segment === undefined || !this.#hasRoom(segment)) return false
      this.#seal(segment)
      return true
    } catch (error) {
      this.#isOver = error instanceof DirectoryUnsynced
      // The draft that was begun goes first.
      this.#isCleared = false
      throw error
    }
  }

  #removeDrafts(): void {
    if (this.#isCleared) return
    for (const path of listSealingDrafts(this.#parts.dataDir)) this.#parts.disk.remove(path)
    this.#isCleared = true
  }

  #next(): SegmentName | undefined {
    const segments = listSegments(this.#parts.dataDir)
    const index = segments.findIndex(({ isSealed, first }) => !isSealed && !this.#passedOver.has(first))
    const behind = segments[index + 1]
    if (index === -1 || behind === undefined || behind.first > this.#parts.covered()) return undefined
    return segments[index]
  }

  /** Room for more than it will take: the log itself must not run out of space for this. */
  #hasRoom({ path }: SegmentName): boolean {
    const { dataDir, disk } = this.#parts
    const fd = disk.openForReading(path)
    try {
      return disk.freeBytes(segmentsOf(dataDir)) >= disk.size(fd) / 2 + FREE_BYTES_MIN
    } finally {
      disk.close(fd)
    }
  }

  #seal(segment: SegmentName): void {
    const { disk } = this.#parts
    if (finishSealing(disk, segment)) return
    const problem = sealSegment(disk, segment)
    if (problem === undefined) return
    if (this.#passedOver.size >= PASSED_OVER_MAX) this.#passedOver.clear()
    this.#passedOver.add(segment.first)
    this.#parts.onKept?.(`${segment.file} stays unsealed: ${problem}`)
  }
}
