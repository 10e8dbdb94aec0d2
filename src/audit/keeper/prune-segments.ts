/**
 * Deletes the beginning of the log when its time is over. First a `prune` record goes on record, with the root of all
 * that is deleted; only when that record lies synced under a signed checkpoint are tiles and segments removed, oldest
 * first. So what remains is always a whole log that says what is missing of it, and is proven by the same tree.
 *
 * Of the tree only the lowest tiles wholly before the first record that stays are removed: no proof of
 * what stays needs them. While the log is held nothing is deleted. Dying anywhere leaves a log for which the
 * same steps go on.
 */
import { rmdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { SubjectKeys } from '../capture/subject-keys.ts'
import { codeOf, type Disk } from '../disk.ts'
import { holdOf } from '../hold.ts'
import { leaveNote } from '../inbox.ts'
import { listSegments, type SegmentName, segmentsOf } from '../paths.ts'
import { readLog } from '../read.ts'
import { TILE_WIDTH, tilePath } from '../tree/tiles.ts'
import { type PrunePlan, planPrune } from './plan-prune.ts'

const LOOK_EVERY_MS = 60_000
/** All keys are read to find those of days. */
const DAYS_EVERY_MS = 60 * 60_000
/** Between looks whether the prune record is on record. */
const WAIT_MS = 2000
/** Then the note was lost, or no checkpoint can be written: everything begins anew. */
const WAIT_MAX_MS = 10 * 60_000
/** Files removed in one step. */
const SEGMENTS_A_STEP = 8
const TILES_A_STEP = 1000

export interface PruneSegmentsParts {
  readonly dataDir: string
  readonly disk: Disk
  readonly clock: Clock
  /** Records under the checkpoint on the disk, which covers only what is synced. */
  readonly covered: () => number
  /** Null: records are kept for ever. */
  readonly retentionMs: number | null
  /** By the configuration; a hold by command is looked up. */
  readonly isHeld: boolean
}

interface Pending {
  readonly plan: PrunePlan
  /** The record can be in no segment before this one. */
  readonly from: number
  readonly giveUpAt: number
  isRecorded: boolean
  /** The next of the lowest tiles to be removed. */
  nextTile: number
  left: readonly SegmentName[]
}

export class PruneSegments {
  readonly name = 'pruning'
  readonly #parts: PruneSegmentsParts
  #lookAt = Number.NEGATIVE_INFINITY
  #daysAt = Number.NEGATIVE_INFINITY
  #pending: Pending | null = null

  constructor(parts: PruneSegmentsParts) {
    this.#parts = parts
  }

  /** True when more can be done at once. Throws the system's error; it may be called again. */
  async step(): Promise<boolean> {
    const { clock, dataDir, retentionMs, isHeld } = this.#parts
    if (retentionMs === null || clock.now() < this.#lookAt) return false
    this.#lookAt = clock.now() + LOOK_EVERY_MS
    if (isHeld || holdOf(dataDir) !== null) {
      this.#pending = null
      return false
    }
    const before = clock.wall() - retentionMs
    if (this.#pending === null) this.#begin(before)
    if (this.#pending === null) return false
    return this.#goOn(this.#pending)
  }

  #begin(before: number): void {
    const { dataDir, disk, clock } = this.#parts
    if (clock.now() >= this.#daysAt) {
      this.#daysAt = clock.now() + DAYS_EVERY_MS
      new SubjectKeys(dataDir, disk).destroyDays(before)
    }
    const plan = planPrune(dataDir, disk, before)
    if (plan === null) return
    const problem = leaveNote(dataDir, 'prune', {
      at: clock.wall(),
      by: 'audit.retention',
      records: plan.records,
      through: plan.through,
      root: plan.root.toString('base64'),
      cause: `older than ${new Date(before).toISOString()}`,
    })
    if (problem !== null) throw new Error(problem)
    this.#pending = {
      plan,
      from: listSegments(dataDir).at(-1)!.first,
      giveUpAt: clock.now() + WAIT_MAX_MS,
      isRecorded: false,
      nextTile: Math.floor(plan.segments[0]!.first / TILE_WIDTH),
      left: plan.segments,
    }
  }

  async #goOn(pending: Pending): Promise<boolean> {
    const { clock } = this.#parts
    pending.isRecorded ||= await this.#isRecorded(pending)
    if (!pending.isRecorded) {
      if (clock.now() >= pending.giveUpAt) this.#pending = null
      this.#lookAt = clock.now() + WAIT_MS
      return false
    }
    this.#lookAt = clock.now()
    if (this.#removeTiles(pending)) return true
    this.#removeSegments(pending)
    if (pending.left.length === 0) this.#pending = null
    return true
  }

  /** The prune record lies under the checkpoint on the disk. */
  async #isRecorded({ plan, from }: Pending): Promise<boolean> {
    const { dataDir, covered } = this.#parts
    for await (const { type, place, ...record } of readLog(dataDir, from)) {
      if (type !== 'prune' || !('note' in record) || place.sequence === null) continue
      if (record.note.through === plan.through && place.sequence < covered()) return true
    }
    return false
  }

  /** True: more are left. */
  #removeTiles(pending: Pending): boolean {
    const end = Math.floor(pending.plan.through / TILE_WIDTH)
    const stop = Math.min(end, pending.nextTile + TILES_A_STEP)
    for (; pending.nextTile < stop; pending.nextTile += 1) {
      const name = { level: 0, index: pending.nextTile, width: TILE_WIDTH }
      this.#remove(join(this.#parts.dataDir, tilePath(name)), pending.nextTile % 1000 === 999)
    }
    return pending.nextTile < end
  }

  #removeSegments(pending: Pending): void {
    const { disk, dataDir } = this.#parts
    for (const { path } of pending.left.slice(0, SEGMENTS_A_STEP)) {
      this.#remove(path, false)
      // It may have been sealed since.
      this.#remove(path.replace(/\.seg$/, '.sgz'), false)
      pending.left = pending.left.slice(1)
    }
    disk.syncDirectory(segmentsOf(dataDir))
  }

  #remove(path: string, isLastOfFolder: boolean): void {
    try {
      this.#parts.disk.remove(path)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
    }
    if (!isLastOfFolder) return
    try {
      rmdirSync(dirname(path))
    } catch {
      // Something is left in it: it stays.
    }
  }
}
