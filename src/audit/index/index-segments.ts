/**
 * Keeps the index whole, a bounded piece of work at a time: what belongs to no segment any more is removed, closed
 * segments without an index get theirs, oldest first, then the one that is being written gets part after part, and each index that was there at the start is read once and made again when
 * it is not what was written. What was made for parts is kept in memory, compressed,
 * until their segment is full, and is not made again then: as much as the segment's own index takes.
 *
 * It never touches a segment. Dying at any moment costs the piece under way.
 */
import { statSync, unlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { FILE_HEADER_BYTES } from '../file-header.ts'
import { listSegments, type SegmentName } from '../paths.ts'
import { indexPart, indexRest, indexSegment, TablesMaker } from './index-segment.ts'
import {
  filesOf,
  firstOf,
  type Indexed,
  indexOf,
  isIntact,
  isOfPart,
  listIndex,
  manifestPath,
  partsOf,
  readManifest,
} from './manifest.ts'
import { WHOLE_AND_SMALL } from './table-file.ts'

/** A draft that nobody wrote to for so long belongs to a process that died. */
const DRAFT_AGE_MS = 10 * 60_000
/** Of a part of the segment that is being written: what is not indexed yet is read with every question. */
export const PART_RECORDS = 8192

export interface IndexOptions {
  /** The folder is of an earlier epoch: its last segment does not grow any more. */
  readonly isOver?: boolean
  /** How many records the checkpoint on the disk covers: they never change, and so are indexed before their segment is full. */
  covered?(): number
  readonly partRecords?: number
}

/** Where the index of the segment that is being written goes on, and what there is of it. */
interface Behind {
  /** Sequence of the segment's first record. */
  readonly first: number
  /** Sequence of the next part's first record, and where in the file it lies. */
  readonly from: number
  readonly at: number
  readonly maker: TablesMaker
  /** The maker has all that lies before. */
  readonly isWhole: boolean
}

export class IndexSegments {
  readonly name = 'index'
  readonly #folder: string
  readonly #clock: Clock
  readonly #isOver: boolean
  readonly #covered: () => number
  readonly #partRecords: number
  /** First sequences of segments whose index was written or read to its end by this object. */
  readonly #known = new Set<number>()
  /** Not here while work on it is under way: after an error nobody knows what it has. */
  #behind: Behind | undefined
  #indexed = 0
  #rebuilt = 0

  /** `folder` holds `segments/` and `index/`: a data directory, or what was put aside of an earlier epoch. */
  constructor(
    folder: string,
    clock: Clock,
    { isOver = false, covered = () => 0, partRecords = PART_RECORDS }: IndexOptions = {},
  ) {
    this.#folder = folder
    this.#clock = clock
    this.#isOver = isOver
    this.#covered = covered
    this.#partRecords = partRecords
  }

  /** Segments indexed by this object, those among them whose index was damaged or of another version. */
  get indexed(): number {
    return this.#indexed
  }
  get rebuilt(): number {
    return this.#rebuilt
  }

  /** True: there is more to do now. Throws the system's error; what was done before it stays. */
  async step(): Promise<boolean> {
    const segments = listSegments(this.#folder)
    const names = listIndex(this.#folder)
    if (this.#removeOrphans(segments, names)) return true
    const there = new Set(names.map((name) => join(indexOf(this.#folder), name)))
    for (const segment of this.#isOver ? segments : segments.slice(0, -1)) {
      if (this.#known.has(segment.first) && there.has(manifestPath(this.#folder, { first: segment.first })))
        continue
      await this.#attend(segment)
      return true
    }
    const last = segments.at(-1)
    return last === undefined || this.#isOver || last.isSealed ? false : this.#goOn(last)
  }

  /** The next part of the segment that is being written, when there is one. */
  async #goOn(segment: SegmentName): Promise<boolean> {
    const { first } = segment
    if (this.#behind?.first !== first) {
      this.#behind = await this.#afterParts(first)
      return true
    }
    const behind = this.#behind
    const { from, at, maker } = behind
    const to = from + this.#partRecords
    if (this.#covered() < to) return false
    this.#behind = undefined
    const made = await indexPart(this.#folder, segment, { at, from, to }, maker)
    this.#behind = made === null ? behind : { ...behind, from: made.part.to, at: made.part.endsAt }
    return made !== null
  }

  /** Behind those that are there and are what was written. */
  async #afterParts(first: number): Promise<Behind> {
    let [from, at] = [first, FILE_HEADER_BYTES]
    for (const manifest of partsOf(this.#folder, first)) {
      if (!(await isIntact(this.#folder, manifest))) break
      from = manifest.part.to
      at = manifest.part.endsAt
    }
    return { first, from, at, maker: new TablesMaker(WHOLE_AND_SMALL), isWhole: from === first }
  }

  async #attend(segment: SegmentName): Promise<void> {
    const { first } = segment
    const behind = this.#behind
    if (behind?.first === first) this.#behind = undefined
    const manifest = readManifest(this.#folder, { first })
    if (manifest === null || !(await isIntact(this.#folder, manifest))) {
      const wasThere = listIndex(this.#folder).some((name) => firstOf(name) === first && !isOfPart(name))
      if (!(await this.#finish(segment, behind))) await indexSegment(this.#folder, segment)
      this.#indexed += 1
      if (wasThere) this.#rebuilt += 1
    }
    this.#known.add(first)
  }

  /** False: its parts are not at hand, or it is sealed, and then the rest of it cannot be told from its place. */
  async #finish(segment: SegmentName, behind: Behind | undefined): Promise<boolean> {
    if (behind?.first !== segment.first || !behind.isWhole || segment.isSealed) return false
    const { from, at, maker } = behind
    const rest = { at, from, to: Number.POSITIVE_INFINITY }
    return (await indexRest(this.#folder, segment, rest, maker)) !== null
  }

  /** Of segments that were pruned, parts of segments that are indexed as a whole, and drafts of processes that died. */
  #removeOrphans(segments: readonly SegmentName[], names: readonly string[]): boolean {
    const firsts = new Set(segments.map(({ first }) => first))
    const there = new Set(names)
    let isAny = false
    for (const name of names) {
      const first = firstOf(name)
      if (first === undefined) continue
      const isReplaced = isOfPart(name) && there.has(basename(manifestPath(this.#folder, { first })))
      if (firsts.has(first) && !isReplaced && !this.#isOldDraft(name)) continue
      unlinkSync(join(indexOf(this.#folder), name))
      this.#known.delete(first)
      isAny = true
    }
    return isAny
  }

  #isOldDraft(name: string): boolean {
    if (!name.endsWith('.draft')) return false
    const found = statSync(join(indexOf(this.#folder), name), { throwIfNoEntry: false })
    return found !== undefined && this.#clock.wall() - found.mtimeMs > DRAFT_AGE_MS
  }
}

/** Forgets the index of one segment, or of a part of it, so that it is made anew; the manifest goes first. */
export function dropIndex(folder: string, indexed: Indexed): void {
  const manifest = readManifest(folder, indexed)
  removeIfThere(manifestPath(folder, indexed))
  if (manifest !== null) for (const { path } of filesOf(folder, manifest)) removeIfThere(path)
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
