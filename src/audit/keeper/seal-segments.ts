/**
 * Seals closed segments, the oldest first, one a step: to a quarter of their bytes, with an index of request ids
 * (sealed/). The newest segment is being written and stays. What cannot be sealed because it is damaged stays as it is;
 * what cannot be sealed because the disk is full or fails is tried again later.
 */
import type { Clock } from '../../kernel/clock.ts'
import { type Disk, FREE_BYTES_MIN } from '../disk.ts'
import { listSealingDrafts, listSegments, type SegmentName, segmentsOf } from '../paths.ts'
import { DirectoryUnsynced, finishSealing, sealSegment } from '../sealed/seal-segment.ts'

/** After trouble with the disk. */
export const RETRY_MS = 30_000
/** Damaged segments remembered; of more, some are tried again in vain. */
const PASSED_OVER_MAX = 1000

export interface SealSegmentsParts {
  readonly dataDir: string
  readonly disk: Disk
  readonly clock: Pick<Clock, 'now'>
  /** Records that a checkpoint covers. What comes later may still be cut off after a crash, and stays as it is. */
  readonly covered: () => number
  /** One line for the operator, once for each segment that stays and for each trouble of the disk. */
  readonly onProblem?: (problem: string) => void
}

export class SealSegments {
  readonly name = 'seal segments'
  readonly #parts: SealSegmentsParts
  /** Sequences with which damaged segments begin. */
  readonly #passedOver = new Set<number>()
  #isCleared = false
  #retryAt = Number.NEGATIVE_INFINITY
  /** What the directory holds is not known to survive: nothing is removed any more in this run. */
  #isOver = false

  constructor(parts: SealSegmentsParts) {
    this.#parts = parts
  }

  /** Seals one segment, if there is one; true: there may be another. Never throws. */
  step(): boolean {
    if (this.#isOver || this.#parts.clock.now() < this.#retryAt) return false
    try {
      this.#removeDrafts()
      const segment = this.#next()
      if (segment === undefined || !this.#hasRoom(segment)) return false
      this.#seal(segment)
      return true
    } catch (error) {
      this.#retryAt = this.#parts.clock.now() + RETRY_MS
      this.#isOver = error instanceof DirectoryUnsynced
      // The draft that was begun goes at the next try.
      this.#isCleared = false
      this.#tell(`segments could not be sealed: ${(error as Error).message}`)
      return false
    }
  }

  #removeDrafts(): void {
    if (this.#isCleared) return
    for (const path of listSealingDrafts(this.#parts.dataDir)) this.#parts.disk.remove(path)
    this.#isCleared = true
  }

  #next(): SegmentName | undefined {
    const segments = listSegments(this.#parts.dataDir)
    const covered = this.#parts.covered()
    const isCovered = (index: number) => segments[index + 1]!.first <= covered
    return segments
      .slice(0, -1)
      .find(({ isSealed, first }, index) => !isSealed && isCovered(index) && !this.#passedOver.has(first))
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
    this.#tell(`${segment.file} stays unsealed: ${problem}`)
  }

  #tell(problem: string): void {
    this.#parts.onProblem?.(problem)
  }
}
