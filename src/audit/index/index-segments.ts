/**
 * Keeps the index whole, a bounded piece of work at a time: what belongs to no segment any more is removed, closed
 * segments without an index get theirs, oldest first, and each index that was there at the start is read once and made again when
 * it is not what was written.
 *
 * It never touches a segment. Dying at any moment costs the piece under way.
 */
import { statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { listSegments, type SegmentName } from '../paths.ts'
import { indexSegment } from './index-segment.ts'
import { filesOf, firstOf, indexOf, isIntact, listIndex, manifestPath, readManifest } from './manifest.ts'

/** A draft that nobody wrote to for so long belongs to a process that died. */
const DRAFT_AGE_MS = 10 * 60_000

export class IndexSegments {
  readonly name = 'index'
  readonly #folder: string
  readonly #clock: Clock
  readonly #isOver: boolean
  /** First sequences of segments whose index was written or read to its end by this object. */
  readonly #known = new Set<number>()
  #indexed = 0
  #rebuilt = 0

  /**
   * `folder` holds `segments/` and `index/`: a data directory, or what was put aside of an earlier epoch; of that
   * `isOver` is true: its last segment does not grow any more.
   */
  constructor(folder: string, clock: Clock, isOver = false) {
    this.#folder = folder
    this.#clock = clock
    this.#isOver = isOver
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
      if (this.#known.has(segment.first) && there.has(manifestPath(this.#folder, segment.first))) continue
      await this.#attend(segment)
      return true
    }
    return false
  }

  async #attend(segment: SegmentName): Promise<void> {
    const { first } = segment
    const manifest = readManifest(this.#folder, first)
    if (manifest === null || !(await isIntact(this.#folder, manifest))) {
      const wasThere = listIndex(this.#folder).some((name) => firstOf(name) === first)
      await indexSegment(this.#folder, segment)
      this.#indexed += 1
      if (wasThere) this.#rebuilt += 1
    }
    this.#known.add(first)
  }

  /** Of segments that were pruned, and drafts of processes that died. */
  #removeOrphans(segments: readonly SegmentName[], names: readonly string[]): boolean {
    const firsts = new Set(segments.map(({ first }) => first))
    let isAny = false
    for (const name of names) {
      const first = firstOf(name)
      if (first === undefined || (firsts.has(first) && !this.#isOldDraft(name))) continue
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

/** Forgets the index of one segment, so that it is made anew; the manifest goes first. */
export function dropIndex(folder: string, first: number): void {
  const manifest = readManifest(folder, first)
  removeIfThere(manifestPath(folder, first))
  if (manifest !== null) for (const { path } of filesOf(folder, manifest)) removeIfThere(path)
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
