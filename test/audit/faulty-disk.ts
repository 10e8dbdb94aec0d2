/**
 * A real disk that fails when told to: writes that stop short, calls that are interrupted, a disk that is full
 * after so many bytes, a truncate or a sync that fails. Everything else reaches the file system.
 */
import { type Disk, systemDisk } from '../../src/audit/disk.ts'

export class FaultyDisk implements Disk {
  /** Bytes it still takes; a write that does not fit stops short, the next one fails with `code`. */
  room = Infinity
  code = 'ENOSPC'
  /** At most this many bytes a call. */
  writeBytesMax = Infinity
  /** Every write is interrupted this many times before it succeeds. */
  interrupts = 0
  failsTruncate = false
  failsSync = false
  /** What happens while a sync takes its time. */
  duringSync: () => void = () => {}
  /** No file can be opened. */
  isOutOfDescriptors = false
  syncs = 0
  /** Every file opened, and every directory synced, in order. */
  readonly opened: string[] = []
  readonly directorySyncs: string[] = []
  writes = 0
  #interrupted = 0

  open(path: string): number {
    this.#claim()
    this.opened.push(path)
    return systemDisk.open(path)
  }

  openForReading(path: string): number {
    this.#claim()
    this.opened.push(path)
    return systemDisk.openForReading(path)
  }

  write(fd: number, bytes: Uint8Array, length: number, position: number): number {
    this.writes += 1
    if (this.#interrupted < this.interrupts) {
      this.#interrupted += 1
      throw failure('EINTR')
    }
    this.#interrupted = 0
    const taken = Math.min(length, this.room, this.writeBytesMax)
    if (taken === 0) throw failure(this.code)
    this.room -= taken
    return systemDisk.write(fd, bytes, taken, position)
  }

  read(fd: number, bytes: Uint8Array, length: number, position: number): number {
    return systemDisk.read(fd, bytes, length, position)
  }

  truncate(fd: number, length: number): void {
    if (this.failsTruncate) throw failure('EIO')
    systemDisk.truncate(fd, length)
  }

  sync(fd: number): void {
    this.syncs += 1
    this.duringSync()
    if (this.failsSync) throw failure('EIO')
    systemDisk.sync(fd)
  }

  syncDirectory(path: string): void {
    this.#claim()
    this.directorySyncs.push(path)
    systemDisk.syncDirectory(path)
  }

  size(fd: number): number {
    return systemDisk.size(fd)
  }

  isAt(fd: number, path: string): boolean {
    return systemDisk.isAt(fd, path)
  }

  remove(path: string): void {
    systemDisk.remove(path)
  }

  rename(from: string, to: string): void {
    systemDisk.rename(from, to)
  }

  makeDirectory(path: string): void {
    systemDisk.makeDirectory(path)
  }

  close(fd: number): void {
    systemDisk.close(fd)
  }

  freeBytes(): number {
    return this.room
  }

  #claim(): void {
    if (this.isOutOfDescriptors) throw failure('EMFILE')
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code })
}
