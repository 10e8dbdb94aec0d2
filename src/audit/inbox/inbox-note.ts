/**
 * What a waiting note is: its type, its fields, and how long each may be. Whoever leaves one and whoever takes it
 * check it by the same table, so a mistake is told where it is made and a foreign file is never believed.
 */
import { z } from 'zod'
import type { Notes } from '../records/notes.ts'

/** Of one file; the longest note fits in, whatever characters it is of. */
export const NOTE_BYTES_MAX = 32 * 1024
/** Files that may wait; a gateway that runs takes 64 a second. */
export const WAITING_MAX = 1000
/** UTF-16 units. */
export const WORDS_MAX = 4000
export const ASKED_MAX = 2000
const NAME_MAX = 256

const moment = z.number().min(0).max(8.64e15)
const name = z.string().max(NAME_MAX)
const count = z.int().min(0)

const NOTES = {
  access: z.strictObject({
    at: moment,
    by: name,
    host: name,
    action: name.min(1),
    asked: z.string().max(ASKED_MAX),
    records: count,
  }),
  note: z.strictObject({ at: moment, by: name, words: z.string().min(1).max(WORDS_MAX) }),
  erase: z.strictObject({ at: moment, by: name, subject: z.string().regex(/^[0-9a-f]{32}$/), keys: count }),
  hold: z.strictObject({ at: moment, by: name, isOn: z.boolean(), words: z.string().max(WORDS_MAX) }),
  prune: z.strictObject({
    at: moment,
    by: name,
    records: count,
    through: count,
    root: name,
    cause: name,
  }),
}

export type InboxType = keyof typeof NOTES

export type InboxNote = {
  [T in InboxType]: { readonly type: T; readonly note: Omit<Notes[T], 'inbox'> }
}[InboxType]

const FILE = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('access'), note: NOTES.access }),
  z.strictObject({ type: z.literal('note'), note: NOTES.note }),
  z.strictObject({ type: z.literal('erase'), note: NOTES.erase }),
  z.strictObject({ type: z.literal('hold'), note: NOTES.hold }),
  z.strictObject({ type: z.literal('prune'), note: NOTES.prune }),
])

/** The note, or one line saying which field is not what it should be. */
export function checkNote(value: unknown): InboxNote | string {
  const { success, data, error } = FILE.safeParse(value)
  if (success) return data
  const [issue] = error.issues
  const place = issue?.path.join('.') || 'the note'
  return `${place}: ${issue?.message ?? 'not what it should be'}`
}
