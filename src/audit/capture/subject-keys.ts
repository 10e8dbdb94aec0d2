/**
 * The keys of captured bodies, one for each subject: 256 files by the first byte of the subject's digest, each a row
 * of slots of 64 bytes. A slot is written once and later, when its key is destroyed, overwritten with zeros in place
 * and synced; it is never used again. So one process may destroy keys beside the one that adds them: neither ever
 * writes where the other does.
 *
 * A file is read whole when a key is not remembered: with a million subjects that are 250 KiB.
 * Overwriting reaches the place the key was written to on plain disks. File systems that copy on write,
 * snapshots, backups and the spare cells of flash may hold it on; SPEC.md says what to do about those.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { crc32c } from '../../kernel/crc32c.ts'
import { DIGEST_BYTES, type Digester } from '../digests.ts'
import { codeOf, type Disk, writeAll } from '../disk.ts'
import { subjectKeysOf } from '../paths.ts'
import { KEY_BYTES, keyIdOf } from './seal.ts'

export const SLOT_BYTES = 64
/** Subjects whose key is held in memory; the one used longest ago gives way. */
export const REMEMBERED_MAX = 10_000
const CREATED_AT = DIGEST_BYTES + KEY_BYTES
const FLAGS_AT = CREATED_AT + 6
const CRC_AT = SLOT_BYTES - 4
/** The key of a day: of requests that no subject is known of. */
const OF_A_DAY = 1

/** Who a body is about, as its key is filed. */
export interface Subject {
  /** 32 hex digits: keyed digest of the subject, or of the day where there is none. */
  readonly digest: string
  readonly isDay: boolean
}

/** Set apart from digests of sticky keys, so that a decision does not tell whose capture it has. */
export function subjectNamed(digester: Digester, value: string): Subject {
  return { digest: digester.hexOf(Buffer.from(`subject\u0000${value}`)), isDay: false }
}

/** `wallMs`: Unix ms; days are those of UTC. */
export function subjectOfDay(digester: Digester, wallMs: number): Subject {
  const day = new Date(wallMs).toISOString().slice(0, 10)
  return { digest: digester.hexOf(Buffer.from(`day\u0000${day}`)), isDay: true }
}

interface Slot {
  readonly at: number
  readonly digest: string
  readonly key: Buffer
  readonly createdAt: number
  readonly isDay: boolean
  readonly isWhole: boolean
}

export class SubjectKeys {
  readonly #folder: string
  readonly #disk: Disk
  /** By digest, least recently used first. */
  readonly #remembered = new Map<string, Buffer>()
  readonly #unsynced = new Set<string>()

  constructor(dataDir: string, disk: Disk) {
    this.#folder = subjectKeysOf(dataDir)
    this.#disk = disk
  }

  /** The subject's key, made if there is none. `now`: Unix ms. Throws the system's error. */
  keyFor(subject: Subject, now: number): Buffer {
    const { digest } = subject
    const known = this.#remembered.get(digest)
    if (known !== undefined) this.#remembered.delete(digest)
    const key = known ?? this.#slots(digest).find(({ isWhole }) => isWhole)?.key ?? this.#add(subject, now)
    this.#remembered.set(digest, key)
    if (this.#remembered.size > REMEMBERED_MAX) this.forget(this.#remembered.keys().next().value!)
    return key
  }

  /** Null: destroyed, or never made here. `keyId` as `keyIdOf` has it. */
  find(digest: string, keyId: string): Buffer | null {
    return this.#slots(digest).find(({ key, isWhole }) => isWhole && keyIdOf(key) === keyId)?.key ?? null
  }

  /** It may have been destroyed: the file is asked the next time. */
  forget(digest: string): void {
    this.#remembered.get(digest)?.fill(0)
    this.#remembered.delete(digest)
  }

  /** Keys that were made since the last time are on the disk when it returns. Throws the system's error. */
  sync(): void {
    if (this.#unsynced.size === 0) return
    for (const path of this.#unsynced) this.#with(path, (fd) => this.#disk.sync(fd))
    this.#disk.syncDirectory(this.#folder)
    this.#unsynced.clear()
  }

  /** The number of keys destroyed. Their bytes are overwritten on the disk when it returns. Throws the system's error. */
  destroy(digest: string): number {
    return this.#destroyIn(this.#path(digest), (slot) => slot.digest === digest)
  }

  /** Destroys the keys of days that ended before `before` (Unix ms). */
  destroyDays(before: number): number {
    const dayMs = 24 * 60 * 60_000
    let destroyed = 0
    for (let shard = 0; shard < 256; shard += 1) {
      const path = this.#path(shard.toString(16).padStart(2, '0'))
      destroyed += this.#destroyIn(path, ({ isDay, createdAt }) => isDay && createdAt + dayMs < before)
    }
    return destroyed
  }

  #destroyIn(path: string, isDue: (slot: Slot) => boolean): number {
    const due = this.#read(path).filter(isDue)
    if (due.length === 0) return 0
    const zeros = Buffer.alloc(SLOT_BYTES)
    this.#with(path, (fd) => {
      for (const { at } of due) writeAll(this.#disk, fd, zeros, { length: SLOT_BYTES, position: at })
      this.#disk.sync(fd)
    })
    for (const { digest } of due) this.forget(digest)
    return due.length
  }

  #slots(digest: string): Slot[] {
    return this.#read(this.#path(digest)).filter((slot) => slot.digest === digest)
  }

  #add({ digest, isDay }: Subject, now: number): Buffer {
    const slot = Buffer.alloc(SLOT_BYTES)
    slot.write(digest, 0, 'hex')
    const key = randomBytes(KEY_BYTES)
    key.copy(slot, DIGEST_BYTES)
    slot.writeUIntLE(Math.floor(now), CREATED_AT, 6)
    slot.writeUInt16LE(isDay ? OF_A_DAY : 0, FLAGS_AT)
    slot.writeUInt32LE(crc32c(slot, 0, CRC_AT), CRC_AT)
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    const path = this.#path(digest)
    this.#with(path, (fd) => {
      // What a crash left of a slot is written over.
      const position = Math.floor(this.#disk.size(fd) / SLOT_BYTES) * SLOT_BYTES
      writeAll(this.#disk, fd, slot, { length: SLOT_BYTES, position })
    })
    this.#unsynced.add(path)
    return key
  }

  /** Every slot that holds anything; of a damaged one only its digest counts, so that it can be destroyed. */
  #read(path: string): Slot[] {
    let fd: number
    try {
      fd = this.#disk.openForReading(path)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return []
      throw error
    }
    try {
      const bytes = Buffer.alloc(this.#disk.size(fd))
      let read = 0
      for (let more = -1; more !== 0 && read < bytes.length; read += more)
        more = this.#disk.read(fd, bytes.subarray(read), bytes.length - read, read)
      return slotsIn(bytes.subarray(0, read))
    } finally {
      this.#disk.close(fd)
    }
  }

  #with(path: string, use: (fd: number) => void): void {
    const fd = this.#disk.open(path)
    try {
      use(fd)
    } finally {
      this.#disk.close(fd)
    }
  }

  #path(digest: string): string {
    return join(this.#folder, digest.slice(0, 2))
  }
}

function slotsIn(bytes: Buffer): Slot[] {
  const slots: Slot[] = []
  for (let at = 0; at + SLOT_BYTES <= bytes.length; at += SLOT_BYTES) {
    const slot = bytes.subarray(at, at + SLOT_BYTES)
    if (slot.every((byte) => byte === 0)) continue
    slots.push({
      at,
      digest: slot.toString('hex', 0, DIGEST_BYTES),
      key: Buffer.from(slot.subarray(DIGEST_BYTES, CREATED_AT)),
      createdAt: slot.readUIntLE(CREATED_AT, 6),
      isDay: (slot.readUInt16LE(FLAGS_AT) & OF_A_DAY) !== 0,
      isWhole: crc32c(slot, 0, CRC_AT) === slot.readUInt32LE(CRC_AT),
    })
  }
  return slots
}
