/**
 * Finds everything the log says about one request, beside a running gateway or without one: in 10^7 records within
 * 10 ms, because sealed segments have an index of ids (sealed/find-in-sealed.ts), and what is not sealed yet is little
 * (find-in-file.ts). Everything is looked into that may hold the id, whatever the clock said: a shadow or a stream's end may
 * come much later than the decision.
 */
import { fstatSync, type Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { coveredOf } from './covered.ts'
import type { LogRecord } from './decode.ts'
import { findInFile } from './find-in-file.ts'
import type { Frame } from './frame.ts'
import { KnownIds } from './known-ids.ts'
import { listEpochs, listSegments, type SegmentName, sealedNameOf } from './paths.ts'
import { closeJournals, journalRecordOf, openJournals, recordOf } from './read.ts'
import { sequencedIdAt, unsequencedIdAt } from './records/request-id-place.ts'
import { idBytes } from './records/row.ts'
import { findInSealed } from './sealed/find-in-sealed.ts'

/** Sealed segments that are asked in one go, without others in this process getting their turn: about 1 ms. */
const ASKED_AT_ONCE = 64

export type DecisionFound = Extract<LogRecord, { type: 'decision' }>
export type ShadowFound = Extract<LogRecord, { type: 'shadow' }>
export type StreamFound = Extract<LogRecord, { type: 'stream' }>
export type CaptureFound = Extract<LogRecord, { type: 'capture' }>

export interface Story {
  readonly id: string
  /** Null when only what followed it was found. */
  readonly decision: DecisionFound | null
  /** How its answer ended, when it was passed on as it came; null too while it is open, or for ever after a crash. */
  readonly stream: StreamFound | null
  readonly shadows: readonly ShadowFound[]
  /** What was kept of its bodies, and what was not; a long body lies in several. */
  readonly captures: readonly CaptureFound[]
}

/** Null when the log knows nothing of `id`, a request id as in `modelgate-request-id`. */
export async function findDecision(dataDir: string, id: string): Promise<Story | null> {
  const needle = idBytes(id.toLowerCase())
  const found = new Map<string, LogRecord>()
  const journals = await openJournals(dataDir)
  try {
    for (const { name, file, first } of journals) {
      const searched = { fd: file.fd, first, idAt: unsequencedIdAt }
      await findInFile(searched, needle, (frame) => keep(found, journalRecordOf(name, frame)))
    }
    for (const epoch of listEpochs(dataDir))
      await searchSegments(listSegments(dataDir, epoch), { needle, found, covered: 0 })
    await searchSegments(listSegments(dataDir), { needle, found, covered: coveredOf(dataDir) })
  } finally {
    await closeJournals(journals)
  }
  return storyOf(id.toLowerCase(), found)
}

/** Records that tell a story. */
export function recordsIn({ decision, stream, shadows, captures }: Story): number {
  return (decision === null ? 0 : 1) + (stream === null ? 0 : 1) + shadows.length + captures.length
}

/** The same as data for people: without what is sealed, which says nothing. */
export function withoutSealed(story: Story): object {
  const captures = story.captures.map((one) => ({ ...one, note: { ...one.note, sealed: undefined } }))
  return { ...story, captures }
}

function storyOf(id: string, found: ReadonlyMap<string, LogRecord>): Story | null {
  let decision: DecisionFound | null = null
  let stream: StreamFound | null = null
  const shadows: ShadowFound[] = []
  const captures: CaptureFound[] = []
  for (const record of found.values()) {
    if (record.type === 'decision' && record.decision.id === id) decision = record
    if (record.type === 'shadow' && record.shadow.id === id) shadows.push(record)
    if (record.type === 'stream' && record.stream.id === id) stream = record
    if (record.type === 'capture' && record.note.id === id) captures.push(record)
  }
  const story = { id, decision, stream, shadows, captures }
  return recordsIn(story) === 0 ? null : story
}

/** The record in a segment replaces the same one met in a journal: it has its digests and its sequence. */
function keep(found: Map<string, LogRecord>, record: LogRecord): void {
  const { lane, start, sequence } = record.origin
  found.set(`${start}-${lane}-${sequence}`, record)
}

interface Search {
  readonly needle: Buffer
  readonly found: Map<string, LogRecord>
  /** So many records, of the log these segments belong to, do not change any more. */
  readonly covered: number
}

async function searchSegments(segments: readonly SegmentName[], search: Search): Promise<void> {
  let asked = 0
  for (const segment of segments) {
    const isSearched = segment.isSealed
      ? await searchSealed(segment, search)
      : await searchPlain(segment, search)
    // It was sealed since it was listed.
    if (!isSearched && !segment.isSealed) await searchSealed(sealedNameOf(segment), search)
    asked += 1
    if (asked % ASKED_AT_ONCE === 0) await setImmediate()
  }
}

/** What is known of segments that are not sealed: two megabytes each at most. Beside the newest there are rarely others. */
const KNOWN_SEGMENTS_MAX = 4
const known = new Map<string, { readonly file: string; readonly ids: KnownIds }>()

/** False when the file is gone, as of the next. */
async function searchPlain(segment: SegmentName, { needle, found, covered }: Search): Promise<boolean> {
  const file = await unlessGone(() => open(segment.path, 'r'))
  if (file === undefined) return false
  try {
    const searched = {
      fd: file.fd,
      first: segment.first,
      idAt: sequencedIdAt,
      known: knownOf(segment, fstatSync(file.fd), covered),
    }
    await findInFile(searched, needle, (frame) => keep(found, recordOf(segment, frame)))
  } finally {
    await file.close()
  }
  return true
}

/** Of this very file: another one of its name has nothing to do with it. */
function knownOf({ path, first }: SegmentName, { ino, birthtimeMs, size }: Stats, covered: number): KnownIds {
  const file = `${ino} ${birthtimeMs}`
  const kept = known.get(path)
  const isSame = kept !== undefined && kept.file === file && kept.ids.at <= size
  const ids = isSame ? kept.ids : new KnownIds(first)
  ids.covered = covered
  if (isSame) return ids
  known.delete(path)
  known.set(path, { file, ids })
  if (known.size > KNOWN_SEGMENTS_MAX) known.delete(known.keys().next().value!)
  return ids
}

async function searchSealed(segment: SegmentName, { needle, found }: Search): Promise<boolean> {
  const onFrame = (frame: Frame) => keep(found, recordOf(segment, frame))
  const unpacked = await unlessGone(() => findInSealed(segment.path, needle, onFrame))
  if (unpacked !== undefined && unpacked > 0) await setImmediate()
  return unpacked !== undefined
}

async function unlessGone<T>(act: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await act()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
