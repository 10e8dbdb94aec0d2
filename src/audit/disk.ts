/**
 * The few calls the log makes on the file system, as an argument: so that every full disk, short write
 * and failed sync can be produced in a test. All are synchronous: the lane must know that its record is
 * written before the reply leaves, and the writer thread has nothing else to do meanwhile.
 */
import * as fs from 'node:fs'

export interface Disk {
  /** Creates the file if needed; reading and writing. Mode 0600: records are nobody else's business. */
  open(path: string): number
  openForReading(path: string): number
  write(fd: number, bytes: Uint8Array, length: number, position: number): number
  read(fd: number, bytes: Uint8Array, length: number, position: number): number
  truncate(fd: number, length: number): void
  sync(fd: number): void
  syncDirectory(path: string): void
  size(fd: number): number
  /** Whether the open file is the one at `path` still: it was not deleted, moved or replaced. */
  isAt(fd: number, path: string): boolean
  remove(path: string): void
  /** Replaces what `to` named. */
  rename(from: string, to: string): void
  /** And those above it; fine when it is there. */
  makeDirectory(path: string): void
  close(fd: number): void
  /** Bytes an unprivileged process may still write; Infinity when the system does not say. */
  freeBytes(path: string): number
}

export const systemDisk: Disk = {
  open: (path) => fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600),
  openForReading: (path) => fs.openSync(path, 'r'),
  write: (fd, bytes, length, position) => fs.writeSync(fd, bytes, 0, length, position),
  read: (fd, bytes, length, position) => fs.readSync(fd, bytes, 0, length, position),
  truncate: (fd, length) => fs.ftruncateSync(fd, length),
  sync: (fd) => fs.fdatasyncSync(fd),
  syncDirectory(path) {
    const fd = fs.openSync(path, 'r')
    try {
      fs.fsyncSync(fd)
    } finally {
      fs.closeSync(fd)
    }
  },
  size: (fd) => fs.fstatSync(fd).size,
  isAt(fd, path) {
    const named = fs.statSync(path, { throwIfNoEntry: false })
    const open = fs.fstatSync(fd)
    return named !== undefined && named.ino === open.ino && named.dev === open.dev
  },
  remove: (path) => fs.unlinkSync(path),
  rename: (from, to) => fs.renameSync(from, to),
  makeDirectory: (path) => void fs.mkdirSync(path, { recursive: true, mode: 0o700 }),
  close: (fd) => fs.closeSync(fd),
  freeBytes(path) {
    const stats = fs.statfsSync(path)
    return stats.bavail * stats.bsize
  },
}

/** Below this the disk counts as full when asking whether it recovered: one loop turn's worth of records. */
export const FREE_BYTES_MIN = 256 * 1024

/** Interrupted calls in a row after which a write counts as failed. */
const INTERRUPTED_MAX = 16

/** Writes all of `bytes[0, length)` at `position` however many calls it takes. Throws the system's error. */
export function writeAll(
  disk: Disk,
  fd: number,
  bytes: Uint8Array,
  place: { readonly length: number; readonly position: number },
): void {
  let done = 0
  let interrupted = 0
  while (done < place.length) {
    try {
      const rest = done === 0 ? bytes : bytes.subarray(done)
      const written = disk.write(fd, rest, place.length - done, place.position + done)
      if (written <= 0) throw Object.assign(new Error('the disk took no bytes'), { code: 'EIO' })
      done += written
      interrupted = 0
    } catch (error) {
      const code = codeOf(error)
      interrupted += 1
      if ((code !== 'EINTR' && code !== 'EAGAIN') || interrupted > INTERRUPTED_MAX) throw error
    }
  }
}

/**
 * A descriptor is gone whatever closing it says (close(2)), and may be another file's the next moment: it is never closed
 * twice. What has to be on the disk was synced before.
 */
export function closeQuietly(disk: Disk, fd: number): void {
  try {
    disk.close(fd)
  } catch {}
}

/** Of a file that does no harm where it is. */
export function removeQuietly(disk: Disk, path: string): void {
  try {
    disk.remove(path)
  } catch {}
}

/**
 * A whole file or none: written beside its place, synced, then renamed. The directory is not synced. Throws the
 * system's error; what is in the place then is what was there before.
 */
export function writeWhole(disk: Disk, path: string, bytes: Uint8Array): void {
  const draft = `${path}.draft`
  const fd = disk.open(draft)
  try {
    disk.truncate(fd, 0)
    writeAll(disk, fd, bytes, { length: bytes.length, position: 0 })
    disk.sync(fd)
  } finally {
    closeQuietly(disk, fd)
  }
  disk.rename(draft, path)
}

/** No file can be opened at present: it says nothing of the disk, and passes. */
export function isOutOfDescriptors(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'EMFILE' || code === 'ENFILE'
}

/** `ENOSPC`, `EIO`, …; empty for what is not a system error. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : ''
}
