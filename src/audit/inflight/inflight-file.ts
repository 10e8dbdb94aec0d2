/**
 * What a lane has under way, on the disk: a request is noted before the first version is asked, with one write of a
 * cell, so that after the death of the process (kill -9, out of memory) each request that reached an endpoint is known
 * (unfinished.ts). Once its decision record is written the cell is free in memory; on the disk it is emptied by the
 * next request that takes it, or by `tidy`, and until then the record's being in the log tells. A request costs the
 * lane 2.4 µs, 1.5 of them the write (Node 20, ext4, processor time of one thread in windows that alternate, 16 requests
 * under way), and 250 bytes of objects.
 *
 * It is written and not synced: it survives the process, not the machine. A disk that does not take a cell refuses no
 * request, because the record that follows decides that (lane-journal.ts): such requests are counted, and after a crash
 * only those of them are missing in the log that had no record yet.
 */
import { mkdirSync } from 'node:fs'
import type { Clock } from '../../kernel/clock.ts'
import { closeQuietly, codeOf, type Disk, systemDisk, writeAll } from '../disk.ts'
import { bootId } from '../lock.ts'
import { inflightOf, inflightPath } from '../paths.ts'
import { RowWriter } from '../records/row-writer.ts'
import {
  CELL_BYTES,
  clearCell,
  generationCell,
  headPage,
  PAGE_BYTES,
  PAGE_CELLS,
  PROGRESS_CELL,
  type RequestUnderWay,
  writeGeneration,
  writeProgress,
  writeRequest,
} from './cell.ts'

/** Whoever is not noted; also where there is no such file. */
export const NO_SLOT = -1
const PROBE_EVERY_MS = 1000

export interface InflightPlace {
  readonly dataDir: string
  readonly lane: number
  readonly start: number
}

export interface InflightOptions {
  /** Requests noted at the same time. */
  readonly slotsMax: number
  readonly disk?: Disk
}

export class InflightFile {
  readonly #place: InflightPlace
  readonly #clock: Clock
  readonly #disk: Disk
  readonly #slotsMax: number
  #fd = -1
  /** Page of the file in which the first slot lies: behind what a thread before in this seat left. */
  #firstPage = 1
  readonly #head = Buffer.alloc(PAGE_BYTES)
  readonly #pages: RowWriter[] = []
  /** One view for each slot: to make one for each write would cost as much as the rest of it. */
  readonly #cells: Buffer[] = []
  /** The slot freed last is taken first, so that few cells are ever stale. */
  readonly #free: number[] = []
  /** Free, and not empty on the disk. */
  readonly #isStale: boolean[] = []
  #stale = 0
  /** Lane sequence of the decision record of whoever has the slot; Infinity while there is none. */
  readonly #decidedAt: number[] = []
  /** Their records were not written, and nothing in the log tells of that yet. */
  #untold: number[] = []
  #generation = 0
  #through = 0
  #trouble = ''
  #probeAt = 0
  #unnoted = 0

  constructor(place: InflightPlace, clock: Clock, { slotsMax, disk = systemDisk }: InflightOptions) {
    this.#place = place
    this.#clock = clock
    this.#slotsMax = slotsMax
    this.#disk = disk
  }

  /** Why the last write failed, the system's code; empty when it did not. */
  get trouble(): string {
    return this.#trouble
  }

  /** Requests that were not noted: the disk took no write, or `slotsMax` are under way. */
  get unnoted(): number {
    return this.#unnoted
  }

  /**
   * Notes a request before the first version is asked: its slot, or NO_SLOT when that could not be done. `after`: the
   * lane's last sequence.
   */
  begin(request: RequestUnderWay, after: number): number {
    if (this.#trouble !== '' && this.#clock.now() < this.#probeAt) return this.#missed()
    try {
      if (this.#fd === -1) this.#open()
      if (request.generation !== this.#generation) this.#tellGeneration(request)
      if (this.#free.length === 0 && !this.#grow()) return this.#missed()
      const slot = this.#free.at(-1)!
      this.#note(slot, request, after)
      this.#free.pop()
      this.#trouble = ''
      return slot
    } catch (error) {
      this.#fail(error)
      return this.#missed()
    }
  }

  /** Its decision record was handed to the journal as `sequence`; whether it was written is told to `end`. */
  decided(slot: number, sequence: number): void {
    this.#decidedAt[slot] = sequence
  }

  /** `written`: its decision record is in the journal. Otherwise the cell stays until the log tells of the loss. */
  end(slot: number, written: boolean): void {
    if (written) this.#release(slot)
    else this.#untold.push(slot)
  }

  /**
   * Empties the stale cells; to be called now and then. `lastSequence`: of the lane's last record. `isAllTold`: every
   * record that could not be written is accounted for in the log.
   */
  tidy(lastSequence: number, isAllTold: boolean): void {
    if (isAllTold && this.#untold.length > 0) {
      const told = this.#untold
      this.#untold = []
      for (const slot of told) this.#release(slot)
    }
    if (this.#fd === -1) return
    try {
      if (this.#stale > 0) this.#empty()
      this.#tellProgress(lastSequence)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** The file goes, unless somebody in it has no record. Nothing may begin after it. */
  close(lastSequence: number, isAllTold: boolean): void {
    this.tidy(lastSequence, isAllTold)
    if (this.#fd === -1) return
    closeQuietly(this.#disk, this.#fd)
    this.#fd = -1
    if (this.#free.length < this.#cells.length || this.#firstPage > 1) return
    try {
      this.#disk.remove(this.#path)
    } catch {
      // Whoever opens the log next finds all of its requests there.
    }
  }

  get #path(): string {
    const { dataDir, lane, start } = this.#place
    return inflightPath(dataDir, lane, start)
  }

  #missed(): number {
    this.#unnoted += 1
    return NO_SLOT
  }

  #fail(error: unknown): void {
    this.#trouble = codeOf(error) || 'unknown'
    this.#probeAt = this.#clock.now() + PROBE_EVERY_MS
  }

  #open(): void {
    const { dataDir, lane, start } = this.#place
    mkdirSync(inflightOf(dataDir), { recursive: true, mode: 0o700 })
    const fd = this.#disk.open(this.#path)
    try {
      const size = this.#disk.size(fd)
      const head = { lane, start, createdAt: this.#clock.wall(), boot: bootId() }
      if (size < PAGE_BYTES) headPage(head).copy(this.#head)
      else this.#disk.read(fd, this.#head, PAGE_BYTES, 0)
      writeAll(this.#disk, fd, this.#head, { length: PAGE_BYTES, position: 0 })
      this.#firstPage = Math.max(1, Math.ceil(size / PAGE_BYTES))
    } catch (error) {
      closeQuietly(this.#disk, fd)
      throw error
    }
    this.#fd = fd
  }

  #tellGeneration({ generation, configHash }: RequestUnderWay): void {
    const at = CELL_BYTES * generationCell(generation)
    writeGeneration(this.#head, at, generation, configHash)
    this.#writeHead()
    this.#generation = generation
  }

  #tellProgress(lastSequence: number): void {
    let through = lastSequence
    for (const sequence of this.#decidedAt) through = Math.min(through, sequence - 1)
    if (through <= this.#through) return
    writeProgress(this.#head, CELL_BYTES * PROGRESS_CELL, { through })
    this.#writeHead()
    this.#through = through
  }

  #writeHead(): void {
    writeAll(this.#disk, this.#fd, this.#head, { length: PAGE_BYTES, position: 0 })
  }

  /** One page of slots more; false when there are as many as may be. */
  #grow(): boolean {
    const first = this.#cells.length
    if (first >= this.#slotsMax) return false
    const page = Buffer.alloc(PAGE_BYTES)
    this.#pages.push(new RowWriter(page))
    for (let index = 0; index < PAGE_CELLS; index += 1) {
      this.#cells.push(page.subarray(index * CELL_BYTES, (index + 1) * CELL_BYTES))
      this.#isStale.push(false)
      this.#decidedAt.push(Number.POSITIVE_INFINITY)
      this.#free.push(first + PAGE_CELLS - 1 - index)
    }
    return true
  }

  #note(slot: number, request: RequestUnderWay, after: number): void {
    const page = Math.floor(slot / PAGE_CELLS)
    const at = (slot % PAGE_CELLS) * CELL_BYTES
    const length = writeRequest(this.#pages[page]!, at, request, after)
    // Also when the write fails half-way something may stand there.
    this.#setStale(slot, true)
    const position = (this.#firstPage + page) * PAGE_BYTES + at
    writeAll(this.#disk, this.#fd, this.#cells[slot]!, { length, position })
    this.#setStale(slot, false)
  }

  #release(slot: number): void {
    this.#decidedAt[slot] = Number.POSITIVE_INFINITY
    this.#free.push(slot)
    this.#setStale(slot, true)
  }

  #setStale(slot: number, isStale: boolean): void {
    if (this.#isStale[slot] === isStale) return
    this.#isStale[slot] = isStale
    this.#stale += isStale ? 1 : -1
  }

  /** With one write for each page that has any. */
  #empty(): void {
    for (let page = 0; page < this.#pages.length && this.#stale > 0; page += 1) {
      const first = page * PAGE_CELLS
      const stale: number[] = []
      for (let slot = first; slot < first + PAGE_CELLS; slot += 1) if (this.#isStale[slot]!) stale.push(slot)
      if (stale.length === 0) continue
      const { bytes } = this.#pages[page]!
      for (const slot of stale) clearCell(bytes, (slot - first) * CELL_BYTES)
      const position = (this.#firstPage + page) * PAGE_BYTES
      writeAll(this.#disk, this.#fd, bytes, { length: PAGE_BYTES, position })
      for (const slot of stale) this.#setStale(slot, false)
    }
  }
}
