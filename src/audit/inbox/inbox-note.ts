/**
 * What a waiting note is: its type, its fields, and how long each may be. Whoever leaves one and whoever takes it
 * check it by the same table, so a mistake is told where it is made and a foreign file is never believed. The table is
 * plain code: every command of the log leaves a note, and none should load a schema library for it.
 */
import type { Notes } from '../records/notes.ts'

/** Of one file; the longest note fits in, whatever characters it is of. */
export const NOTE_BYTES_MAX = 32 * 1024
/** Files that may wait; a gateway that runs takes 64 a second. */
export const WAITING_MAX = 1000
/** UTF-16 units. */
export const WORDS_MAX = 4000
export const ASKED_MAX = 2000
const NAME_MAX = 256
/** Unix ms of the last moment that a Date can tell. */
const MOMENT_MAX = 8.64e15

interface Field {
  /** For the words “FIELD: not …”. */
  readonly expected: string
  isIt(value: unknown): boolean
}

const text = (max: number, min = 0): Field => ({
  expected: `text of ${min} to ${max} characters`,
  isIt: (value) => typeof value === 'string' && value.length >= min && value.length <= max,
})
const moment: Field = {
  expected: 'a time in Unix ms',
  isIt: (value) => typeof value === 'number' && value >= 0 && value <= MOMENT_MAX,
}
const count: Field = {
  expected: 'a whole number from 0 on',
  isIt: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
}
const flag: Field = { expected: 'true or false', isIt: (value) => typeof value === 'boolean' }
const digest: Field = {
  expected: '32 hex digits',
  isIt: (value) => typeof value === 'string' && /^[0-9a-f]{32}$/.test(value),
}
const name = text(NAME_MAX)

const NOTES = {
  access: {
    at: moment,
    by: name,
    host: name,
    action: text(NAME_MAX, 1),
    asked: text(ASKED_MAX),
    records: count,
  },
  note: { at: moment, by: name, words: text(WORDS_MAX, 1) },
  erase: { at: moment, by: name, subject: digest, keys: count },
  hold: { at: moment, by: name, isOn: flag, words: text(WORDS_MAX) },
  prune: { at: moment, by: name, records: count, through: count, root: name, cause: name },
} satisfies { [T in keyof Notes]?: Record<keyof Omit<Notes[T], 'inbox'>, Field> }

export type InboxType = keyof typeof NOTES

export type InboxNote = {
  [T in InboxType]: { readonly type: T; readonly note: Omit<Notes[T], 'inbox'> }
}[InboxType]

const FIELDS: ReadonlyMap<unknown, ReadonlyMap<string, Field>> = new Map(
  Object.entries(NOTES).map(([type, fields]) => [type, new Map(Object.entries(fields))]),
)

/** The note, or one line saying which field is not what it should be. */
export function checkNote(value: unknown): InboxNote | string {
  if (!isFields(value)) return 'the note: no JSON object'
  const extra = Object.keys(value).find((key) => key !== 'type' && key !== 'note')
  if (extra !== undefined) return `${extra}: no field of a waiting note`
  const { type, note } = value
  const fields = FIELDS.get(type)
  if (fields === undefined) return `type: not one of ${[...FIELDS.keys()].join(', ')}`
  if (!isFields(note)) return 'note: no JSON object'
  const strange = Object.keys(note).find((key) => !fields.has(key))
  if (strange !== undefined) return `note.${strange}: no field of ${type}`
  for (const [key, { expected, isIt }] of fields) if (!isIt(note[key])) return `note.${key}: not ${expected}`
  return value as unknown as InboxNote
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
