/**
 * The journal files of one lane: appends whole batches of frames, starts a new file when one is full, and
 * never leaves half a batch where a reader would find it. The file is the record: a batch that `append`
 * returned from survives the death of this process.
 *
 * A failed append cuts the file back to where it was. If even that fails the file is left as it is and the
 * next batch begins a new one: readers stop at what is no frame. Whole frames of the failed batch are read by
 * them then, although their callers were told otherwise; the loss record's sequences tell which they are.
 */
import { mkdirSync } from 'node:fs'
import type { Clock } from '../kernel/clock.ts'
import { closeQuietly, codeOf, type Disk, removeQuietly, writeAll } from './disk.ts'
import { encodeFileHeader, FILE_HEADER_BYTES, NO_TREE } from './file-header.ts'
import { journalPath, journalsOf } from './paths.ts'

/** A finished file is deleted once its records are in synced segments, so this is also the size of the steps in which disk comes back. */
export const JOURNAL_BYTES_MAX = 16 * 1024 * 1024

export interface JournalPlace {
  readonly dataDir: string
  readonly lane: number
  readonly start: number
}

export class JournalFile {
  readonly #place: JournalPlace
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #bytesMax: number
  #fd = -1
  #number: number
  #offset = 0

  /** `number`: of the last file this lane wrote in this run; 0 when there was none. */
  constructor(place: JournalPlace, number: number, more: { disk: Disk; clock: Clock; bytesMax: number }) {
    this.#place = place
    this.#number = number
    this.#disk = more.disk
    this.#clock = more.clock
    this.#bytesMax = more.bytesMax
  }

  get number(): number {
    return this.#number
  }

  /** Up to here every byte is part of a whole frame. */
  get offset(): number {
    return this.#offset
  }

  /** `batch[0, length)` are whole frames, the first with lane sequence `first`. Throws the system's error. */
  append(batch: Buffer, length: number, first: number): void {
    if (this.#fd !== -1 && this.#offset + length > this.#bytesMax) this.close()
    if (this.#fd === -1) this.#begin(first)
    try {
      writeAll(this.#disk, this.#fd, batch, { length, position: this.#offset })
    } catch (error) {
      this.#cutBack()
      throw error
    }
    this.#offset += length
  }

  close(): void {
    if (this.#fd === -1) return
    closeQuietly(this.#disk, this.#fd)
    this.#fd = -1
  }

  #begin(first: number): void {
    const { dataDir, lane, start } = this.#place
    const number = this.#number + 1
    const path = journalPath(dataDir, lane, start, number)
    const fd = this.#open(path)
    const header = encodeFileHeader({
      kind: 'journal',
      lane,
      start,
      number,
      first,
      createdAt: this.#clock.wall(),
      keyId: '',
      ...NO_TREE,
    })
    try {
      writeAll(this.#disk, fd, header, { length: header.length, position: 0 })
    } catch (error) {
      closeQuietly(this.#disk, fd)
      removeQuietly(this.#disk, path)
      throw error
    }
    this.#fd = fd
    this.#number = number
    this.#offset = FILE_HEADER_BYTES
  }

  /** Whoever deletes the directory under a running gateway must not stop it: its data_dir is another matter. */
  #open(path: string): number {
    try {
      return this.#disk.open(path)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      mkdirSync(journalsOf(this.#place.dataDir), { mode: 0o700 })
      return this.#disk.open(path)
    }
  }

  #cutBack(): void {
    try {
      this.#disk.truncate(this.#fd, this.#offset)
    } catch {
      this.close()
    }
  }
}
