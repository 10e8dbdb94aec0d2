/**
 * Where things lie in a data directory, and how their names are read back. Names sort: segments by the
 * first sequence they hold, journals by run, lane and number.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

export const LOCK_FILE = 'lock'
/** While it is there, nothing is deleted. */
export const HOLD_FILE = 'hold'
export const CONFIGURED_HOLD_FILE = 'hold.configured'
export const KEY_FILE = join('keys', 'digest.key')
/** The key that signs checkpoints, the public ones that ever did, and one that shall take over. */
export const SIGNING_KEY_FILE = join('keys', 'signing.key')
export const KEY_LIST_FILE = join('keys', 'log.vkey')
export const NEXT_KEY_FILE = join('keys', 'next.key')
export const ORIGIN_FILE = 'origin'
export const CHECKPOINT_FILE = 'checkpoint'

export const segmentsOf = (dataDir: string): string => join(dataDir, 'segments')
export const journalsOf = (dataDir: string): string => join(dataDir, 'journal')
/** Keys of captured bodies, by subject. */
export const subjectKeysOf = (dataDir: string): string => join(dataDir, 'keys', 'subjects')
/** Notes that other processes want in the log. */
export const inboxOf = (dataDir: string): string => join(dataDir, 'inbox')
export const inflightOf = (dataDir: string): string => join(dataDir, 'inflight')
/** An earlier log of this directory that somebody set aside; laid out like a data directory. */
export const epochDir = (dataDir: string, epoch: number): string => join(dataDir, 'epochs', String(epoch))
export const indexOf = (dataDir: string): string => join(dataDir, 'index')
export const tilesOf = (dataDir: string): string => join(dataDir, 'tile')
/** What was damaged is kept here and never deleted by the gateway. */
export const tornOf = (dataDir: string): string => join(dataDir, 'torn')

/** Of a file that is not finished. */
export const DRAFT_SUFFIX = '.draft'

export interface SegmentName {
  readonly path: string
  readonly name: string
  /** Relative to the data directory, as records tell where they lie. */
  readonly file: string
  readonly first: number
  /** Its records are in compressed blocks (sealed/), and it does not change any more. */
  readonly isSealed: boolean
}

export interface JournalName {
  readonly path: string
  readonly name: string
  readonly lane: number
  readonly start: number
  readonly number: number
}

export type InflightName = Omit<JournalName, 'number'>

export function segmentPath(dataDir: string, first: number): string {
  return join(segmentsOf(dataDir), `${String(first).padStart(12, '0')}.seg`)
}

export function journalPath(dataDir: string, lane: number, start: number, number: number): string {
  return join(journalsOf(dataDir), `${lane}-${start}-${number}.jnl`)
}

export function inflightPath(dataDir: string, lane: number, start: number): string {
  return join(inflightOf(dataDir), `${lane}-${start}.ring`)
}

/**
 * Oldest first. A directory that does not exist holds none. `epoch`: one that an acknowledged repair put aside; the
 * present one when not given. Where a segment is there sealed and not, whoever sealed it has not finished: the
 * original counts.
 */
export function listSegments(dataDir: string, epoch?: number): SegmentName[] {
  const within = epoch === undefined ? 'segments' : `epochs/${epoch}/segments`
  const folder = join(dataDir, within)
  const found = new Map<number, SegmentName>()
  // While a directory is read, a segment may be sealed: neither of its names is then seen, but the second time one is.
  for (const name of new Set([...namesIn(folder), ...namesIn(folder)])) {
    const match = /^(\d{12,16})\.(seg|sgz)$/.exec(name)
    if (match === null) continue
    const first = Number(match[1])
    const isSealed = match[2] === 'sgz'
    if (isSealed && found.get(first)?.isSealed === false) continue
    found.set(first, { path: join(folder, name), name, file: `${within}/${name}`, first, isSealed })
  }
  return [...found.values()].sort((a, b) => a.first - b.first)
}

/** What a segment is called once it is sealed. */
export function sealedNameOf({ path, name, file, first }: SegmentName): SegmentName {
  const sealed = (text: string) => text.replace(/\.seg$/, '.sgz')
  return { path: sealed(path), name: sealed(name), file: sealed(file), first, isSealed: true }
}

/** Segments that are being sealed, or were when the process died. */
export function listSealingDrafts(dataDir: string): string[] {
  const folder = segmentsOf(dataDir)
  return namesIn(folder)
    .filter((name) => name.endsWith(`.sgz${DRAFT_SUFFIX}`))
    .map((name) => join(folder, name))
}

/** Numbers of the epochs that were put aside, oldest first. */
export function listEpochs(dataDir: string): number[] {
  const names = namesIn(join(dataDir, 'epochs')).filter((name) => /^[1-9]\d{0,8}$/.test(name))
  return names.map(Number).sort((a, b) => a - b)
}

/** In the order they were written: by run, then lane, then number. */
export function listJournals(dataDir: string): JournalName[] {
  const folder = journalsOf(dataDir)
  const found: JournalName[] = []
  for (const name of namesIn(folder)) {
    const match = /^(\d{1,5})-(\d{1,15})-(\d{1,12})\.jnl$/.exec(name)
    if (match === null) continue
    const [lane, start, number] = [Number(match[1]), Number(match[2]), Number(match[3])]
    found.push({ path: join(folder, name), name, lane, start, number })
  }
  return found.sort((a, b) => a.start - b.start || a.lane - b.lane || a.number - b.number)
}

/** By run, then lane. */
export function listInflight(dataDir: string): InflightName[] {
  const folder = inflightOf(dataDir)
  const found: InflightName[] = []
  for (const name of namesIn(folder)) {
    const match = /^(\d{1,5})-(\d{1,15})\.ring$/.exec(name)
    if (match === null) continue
    found.push({ path: join(folder, name), name, lane: Number(match[1]), start: Number(match[2]) })
  }
  return found.sort((a, b) => a.start - b.start || a.lane - b.lane)
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
