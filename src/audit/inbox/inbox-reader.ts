/**
 * Takes the notes that other processes left and puts them on record: on the control thread, each second, at the start
 * and at the end. A file is removed after its record is written, never before; when the gateway dies between the two,
 * the note is recorded again, under the same `inbox` name.
 *
 * Nothing that lies in the folder can make it throw, wait or grow: what is not a note is moved to `refused/` and
 * told, at most so many files are looked at a second, and while no record can be written the files wait.
 */
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  unlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { inboxOf } from '../paths.ts'
import type { Notes } from '../records/notes.ts'
import { isRequestId } from '../records/row.ts'
import { checkNote, type InboxNote, type InboxType, NOTE_BYTES_MAX, WAITING_MAX } from './inbox-note.ts'

const LOOK_EVERY_MS = 1000
/** A look takes no longer than some milliseconds of the control thread. */
export const NOTES_A_LOOK = 64
/** Beyond it what is not a note is deleted instead of kept. */
export const REFUSED_MAX = 1000
const WHY_MAX = 200

export interface InboxParts {
  readonly dataDir: string
  /** False: not written now; it is tried again at the next look. */
  record<T extends InboxType>(type: T, note: Notes[T]): boolean
  /** After it was recorded: what the note means beyond that. */
  onNote?(note: InboxNote): void
  log(line: string): void
}

export class InboxReader {
  readonly #parts: InboxParts
  readonly #folder: string
  #timer: NodeJS.Timeout | undefined
  /** Recorded, but it could not be removed: it is not recorded again. */
  #recorded = ''
  /** What was told last; a trouble that lasts is told once. */
  #trouble = ''

  constructor(parts: InboxParts) {
    this.#parts = parts
    this.#folder = inboxOf(parts.dataDir)
  }

  start(): void {
    this.#removeDrafts()
    this.look()
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS)
    this.#timer.unref()
  }

  /** Takes what waits now, as far as it can be written. */
  stop(): void {
    clearInterval(this.#timer)
    for (let looks = 0; looks < WAITING_MAX / NOTES_A_LOOK && this.look(); looks += 1);
  }

  /** True when something was taken and more may wait. */
  look(): boolean {
    let names: string[]
    try {
      names = readdirSync(this.#folder)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#tell(`cannot be read: ${wordsOf(error)}`)
      return false
    }
    const files = names.filter((name) => name !== 'refused' && !name.endsWith('.draft')).sort()
    for (const name of files.slice(0, NOTES_A_LOOK)) {
      if (!this.#take(name)) return false
    }
    this.#trouble = ''
    return files.length > NOTES_A_LOOK
  }

  /** False: no more can be taken at present. */
  #take(name: string): boolean {
    const path = join(this.#folder, name)
    if (name !== this.#recorded) {
      const read = this.#read(name, path)
      if (read === null) return true
      if (typeof read === 'string') return this.#refuse(name, read)
      const note = { ...read.note, inbox: name.slice(0, -'.json'.length) }
      if (!this.#parts.record(read.type, note as Notes[typeof read.type])) return false
      this.#recorded = name
      this.#parts.onNote?.(read)
    }
    try {
      unlinkSync(path)
      return true
    } catch (error) {
      return this.#tell(`${name} is recorded but cannot be removed: ${wordsOf(error)}`)
    }
  }

  /** Null when it is gone; words when it is no note. */
  #read(name: string, path: string): InboxNote | string | null {
    if (!name.endsWith('.json') || !isRequestId(name.slice(0, -'.json'.length)))
      return 'its name is not that of a note'
    try {
      return checkNote(JSON.parse(readSmall(path)))
    } catch (error) {
      if (error instanceof SyntaxError) return 'it is not JSON'
      return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : wordsOf(error)
    }
  }

  #refuse(name: string, why: string): boolean {
    const refused = join(this.#folder, 'refused')
    const path = join(this.#folder, name)
    try {
      mkdirSync(refused, { recursive: true, mode: 0o700 })
      const isKept = readdirSync(refused).length < REFUSED_MAX
      if (isKept) renameSync(path, join(refused, name))
      else unlinkSync(path)
      const fate = isKept ? 'moved to inbox/refused' : 'deleted, because inbox/refused is full'
      this.#parts.log(`inbox: ${JSON.stringify(name)} is no note for the log (${plain(why)}); it was ${fate}`)
      return true
    } catch (error) {
      return this.#tell(`${JSON.stringify(name)} is no note and cannot be moved: ${wordsOf(error)}`)
    }
  }

  /** Of commands that died. One that is at work just now tells its user that its note was lost. */
  #removeDrafts(): void {
    try {
      for (const name of readdirSync(this.#folder)) {
        if (name.endsWith('.draft')) unlinkSync(join(this.#folder, name))
      }
    } catch {
      // The first look tells of it, or there is no folder yet.
    }
  }

  #tell(trouble: string): false {
    if (trouble !== this.#trouble) this.#parts.log(`inbox: ${trouble}`)
    this.#trouble = trouble
    return false
  }
}

/** A pipe, a link or a directory is refused without waiting for it. */
function readSmall(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stats = fstatSync(fd)
    if (!stats.isFile()) throw new Error('not a plain file')
    if (stats.size > NOTE_BYTES_MAX) throw new Error(`longer than ${NOTE_BYTES_MAX} bytes`)
    const bytes = Buffer.alloc(NOTE_BYTES_MAX)
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0))
  } finally {
    closeSync(fd)
  }
}

/** Names of fields in it may be a stranger's. */
function plain(words: string): string {
  return words.slice(0, WHY_MAX).replace(/[^\x20-\x7e]/g, '?')
}

function wordsOf(error: unknown): string {
  return (error as Error).message
}
