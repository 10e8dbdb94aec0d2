/**
 * One random change of a log's directory, and back again: what an accident or a person could do to it. Whoever checks
 * the log must find each of them. What changes nothing counts as no mutation:
 *
 * - the same bytes as before (zeros over zeros, an exchange of equal pieces);
 * - space around the one line of `origin`, or around and between the lines of `keys/log.vkey`;
 * - bytes behind the last whole record of the last segment, when it is not sealed and everything before is signed: that is
 *   how a crash in the middle of a write looks. They are told of (`tailBytes`), and are no damage.
 *
 * The secret keys are no part of what is checked.
 */
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { FILE_HEADER_BYTES } from '../../../src/audit/file-header.ts'
import { FRAME_HEAD_BYTES, frameAt, sealFrame } from '../../../src/audit/frame.ts'
import type { Chance } from '../../../src/kernel/chance.ts'
import { SEALED_CHANGES } from './sealed-mutations.ts'

export interface Mutation {
  /** What was done, for the message of a failure. */
  readonly words: string
  readonly undo: () => void
}

const CHECKED = /^(segments|tile)\/|^(checkpoint|origin|keys\/log\.vkey)$/

export function checkedFiles(dataDir: string): string[] {
  return readdirSync(dataDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(dataDir, join(entry.parentPath, entry.name)))
    .filter((path) => CHECKED.test(path))
    .sort()
}

/** Null: what was drawn changes nothing, or does not apply here. */
export function mutate(dataDir: string, chance: Chance): Mutation | null {
  const files = checkedFiles(dataDir)
  const draw = (count: number) => Math.floor(count * chance.next())
  const file = files[draw(files.length)]!
  const kind = draw(KINDS.length)
  return KINDS[kind]!({ dataDir, files, file, draw })
}

interface Drawing {
  readonly dataDir: string
  readonly files: readonly string[]
  readonly file: string
  /** A whole number below `count`. */
  readonly draw: (count: number) => number
}

const edit =
  (name: string, change: (bytes: Buffer, draw: Drawing['draw']) => Buffer) =>
  ({ dataDir, file, draw }: Drawing): Mutation | null => {
    const path = join(dataDir, file)
    const before = readFileSync(path)
    if (before.length === 0) return null
    const after = change(before, draw)
    if (isSame(dataDir, file, before, after)) return null
    writeFileSync(path, after)
    return { words: `${name} in ${file}`, undo: () => writeFileSync(path, before) }
  }

function stretch(bytes: Buffer, draw: Drawing['draw']): [number, number] {
  const from = draw(bytes.length)
  return [from, Math.min(bytes.length, from + 1 + draw(Math.min(400, bytes.length)))]
}

const KINDS: readonly ((drawing: Drawing) => Mutation | null)[] = [
  edit('a flipped bit', (bytes, draw) => {
    const after = Buffer.from(bytes)
    const at = draw(bytes.length)
    after[at] = after[at]! ^ (1 << draw(8))
    return after
  }),
  edit('another byte', (bytes, draw) => {
    const after = Buffer.from(bytes)
    after[draw(bytes.length)] = draw(256)
    return after
  }),
  edit('bytes left out', (bytes, draw) => {
    const [from, to] = stretch(bytes, draw)
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)])
  }),
  edit('bytes put in', (bytes, draw) => {
    const at = draw(bytes.length)
    const more = Buffer.from(Array.from({ length: 1 + draw(40) }, () => draw(256)))
    return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)])
  }),
  edit('bytes written twice', (bytes, draw) => {
    const [from, to] = stretch(bytes, draw)
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)])
  }),
  edit('a hole of zeros', (bytes, draw) => Buffer.from(bytes).fill(0, ...stretch(bytes, draw))),
  edit('an end cut off', (bytes, draw) => bytes.subarray(0, draw(bytes.length))),
  edit('neighbours exchanged', (bytes, draw) => {
    const [from, to] = stretch(bytes, draw)
    const end = Math.min(bytes.length, to + (to - from))
    const [one, other] = [bytes.subarray(from, to), bytes.subarray(to, end)]
    return Buffer.concat([bytes.subarray(0, from), other, one, bytes.subarray(end)])
  }),
  forgedRecord,
  lostRecord,
  ...SEALED_CHANGES.map(({ name, change }) => (drawing: Drawing) => {
    return drawing.file.endsWith('.sgz') ? edit(name, change)(drawing) : null
  }),
  ({ dataDir, file }) => {
    const path = join(dataDir, file)
    const bytes = readFileSync(path)
    rmSync(path)
    return { words: `${file} deleted`, undo: () => writeFileSync(path, bytes) }
  },
  ({ dataDir, files, file, draw }) => {
    const other = files[draw(files.length)]!
    const [one, two] = [file, other].map((name) => readFileSync(join(dataDir, name))) as [Buffer, Buffer]
    if (one.equals(two)) return null
    const put = (first: Buffer, second: Buffer) => {
      writeFileSync(join(dataDir, file), first)
      writeFileSync(join(dataDir, other), second)
    }
    put(two, one)
    return { words: `${file} and ${other} exchanged`, undo: () => put(one, two) }
  },
  ({ dataDir, file, draw }) => {
    const match = /^(segments\/)(\d+)(\.\w+)$/.exec(file)
    if (match === null) return null
    // To another number, or as if it were sealed, or not.
    const isOther = draw(3) > 0
    const first = Number(match[2]) + (isOther ? 1 + draw(50) : 0)
    const kind = isOther ? match[3] : match[3] === '.seg' ? '.sgz' : '.seg'
    const renamed = `${match[1]}${String(first).padStart(12, '0')}${kind}`
    if (statSync(join(dataDir, renamed), { throwIfNoEntry: false }) !== undefined) return null
    renameSync(join(dataDir, file), join(dataDir, renamed))
    const undo = () => renameSync(join(dataDir, renamed), join(dataDir, file))
    return { words: `${file} renamed to ${renamed}`, undo }
  },
]

/** A record altered by somebody who knows how: its checksum is right. */
function forgedRecord(drawing: Drawing): Mutation | null {
  return withFrame('a record forged', drawing, (bytes, frame) => {
    const after = Buffer.from(bytes)
    const at = frame.at + FRAME_HEAD_BYTES + drawing.draw(frame.payload.length)
    after[at] = after[at]! ^ (1 + drawing.draw(255))
    sealFrame(after, frame.at, frame, frame.payload.length)
    return after
  })
}

function lostRecord(drawing: Drawing): Mutation | null {
  return withFrame('a record left out', drawing, (bytes, { at, bytes: length }) =>
    Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]),
  )
}

function withFrame(
  name: string,
  drawing: Drawing,
  change: (bytes: Buffer, frame: Exclude<ReturnType<typeof frameAt>, string>) => Buffer,
): Mutation | null {
  if (!drawing.file.endsWith('.seg')) return null
  return edit(name, (bytes) => {
    const starts: number[] = []
    for (let at = FILE_HEADER_BYTES; at < bytes.length; ) {
      const frame = frameAt(bytes, at, bytes.length)
      if (typeof frame === 'string') break
      starts.push(at)
      at += frame.bytes
    }
    if (starts.length === 0) return bytes
    const frame = frameAt(bytes, starts[drawing.draw(starts.length)]!, bytes.length)
    return typeof frame === 'string' ? bytes : change(bytes, frame)
  })(drawing)
}

function isSame(dataDir: string, file: string, before: Buffer, after: Buffer): boolean {
  if (before.equals(after)) return true
  if (file === 'origin') return before.toString().trim() === after.toString().trim()
  if (file === 'keys/log.vkey') return wordsOf(before) === wordsOf(after)
  const segments = checkedFiles(dataDir).filter((name) => name.startsWith('segments/'))
  const isLast = file === segments.at(-1) && file.endsWith('.seg')
  return isLast && after.length > before.length && after.subarray(0, before.length).equals(before)
}

function wordsOf(bytes: Buffer): string {
  return bytes.toString().split(/\s+/).filter(Boolean).join(' ')
}
