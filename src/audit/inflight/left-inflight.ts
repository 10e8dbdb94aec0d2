/**
 * Requests that were under way when their process died, read from what its lanes left. Whoever reads the log from its
 * end tells this which records there are; who has no decision record then gets one that says what is known
 * (`unknown_crash`). Damaged cells are kept under `torn/` like everything that is damaged.
 */
import { FAULTS, type FaultCode } from '../../domain/fault.ts'
import type { Disk } from '../disk.ts'
import { bootId } from '../lock.ts'
import { type InflightName, inflightOf, listInflight } from '../paths.ts'
import type { DecisionRecord } from '../records/decision-record.ts'
import type { TornPart } from '../records/notes.ts'
import type { Origin } from '../records/payload.ts'
import { RECORD_TYPES } from '../records/record-type.ts'
import { ID_BYTES, sequencedIdAt, unsequencedIdAt } from '../records/request-id-place.ts'
import { idBytes } from '../records/row.ts'
import { keepTorn } from '../torn.ts'
import {
  CELL_BYTES,
  type Cell,
  INFLIGHT_VERSION,
  type Noted,
  type RequestUnderWay,
  readCell,
} from './cell.ts'

export const UNKNOWN_CRASH = 'unknown_crash' satisfies FaultCode

/** Of one lane of one run: records of it up to `through` cannot be those that are looked for. */
interface LaneLeft {
  readonly start: number
  readonly lane: number
  readonly through: number
  /** Nothing in segments further back can matter. */
  isSettled: boolean
}

export class LeftInflight {
  readonly files: readonly InflightName[]
  readonly torn: readonly TornPart[]
  /** By the bytes of the id, as latin1. */
  readonly #requests = new Map<string, RequestUnderWay>()
  readonly #lanes: LaneLeft[] = []

  private constructor(files: readonly InflightName[], torn: readonly TornPart[]) {
    this.files = files
    this.torn = torn
  }

  /** What all lanes of dead runs left. Throws what the disk throws. */
  static read(dataDir: string, disk: Disk): LeftInflight {
    const files = listInflight(dataDir)
    const torn: TornPart[] = []
    const left = new LeftInflight(files, torn)
    const boot = bootId()
    for (const name of files) left.#add(name, readFile(dataDir, name, disk, torn), boot)
    return left
  }

  /** Runs before this one cannot matter; Infinity when there is nothing to look for. */
  get oldestStart(): number {
    return Math.min(...this.#lanes.map(({ start }) => start))
  }

  /** No segment further back needs to be read. */
  get isComplete(): boolean {
    return this.#requests.size === 0 || this.#lanes.every(({ isSettled }) => isSettled)
  }

  /** A record in a segment that the run `writtenBy` wrote; segments are read from the last one backwards. */
  sequenced(type: number, payload: Buffer, origin: Origin, writtenBy: number | undefined): void {
    if (this.#requests.size === 0) return
    if (type === RECORD_TYPES.decision) this.#drop(payload, sequencedIdAt(payload, 0, payload.length))
    if (origin.start !== writtenBy) return
    // A run's segments hold a lane's records in order.
    const lane = this.#laneOf(origin.start, origin.lane)
    if (lane !== undefined && origin.sequence <= lane.through) lane.isSettled = true
  }

  /** A record in a journal. */
  unsequenced(type: number, payload: Buffer): void {
    if (this.#requests.size === 0 || type !== RECORD_TYPES.decision) return
    this.#drop(payload, unsequencedIdAt(payload, 0, payload.length))
  }

  /** All records of the lane up to `through` are in segments further back, and no others. */
  mark(start: number, number: number, through: number): void {
    const lane = this.#laneOf(start, number)
    if (lane !== undefined && through <= lane.through) lane.isSettled = true
  }

  /** Once everything was told: a record for each that has none. */
  unfinished(): DecisionRecord[] {
    return [...this.#requests.values()].map(decisionOf)
  }

  #laneOf(start: number, lane: number): LaneLeft | undefined {
    return this.#lanes.find((each) => each.lane === lane && each.start === start)
  }

  #drop(payload: Buffer, at: number): void {
    if (at !== -1) this.#requests.delete(payload.toString('latin1', at, at + ID_BYTES))
  }

  #add({ lane, start }: InflightName, { boot, through, hashes, noted }: FileLeft, now: string): void {
    if (noted.length === 0) return
    for (const { request } of noted) {
      const configHash = hashes.get(request.generation) ?? ''
      this.#requests.set(idBytes(request.id).toString('latin1'), { ...request, configHash })
    }
    const least = Math.min(...noted.map(({ after }) => after))
    const isSameBoot = boot !== '' && boot === now
    this.#lanes.push({
      lane,
      start,
      through: isSameBoot ? Math.max(least, through) : least,
      isSettled: false,
    })
  }
}

/** After what was appended is synced. */
export function removeInflight(dataDir: string, files: readonly InflightName[], disk: Disk): void {
  for (const { path } of files) disk.remove(path)
  if (files.length > 0) disk.syncDirectory(inflightOf(dataDir))
}

interface FileLeft {
  boot: string
  through: number
  readonly hashes: Map<number, string>
  readonly noted: Noted[]
}

function readFile(dataDir: string, name: InflightName, disk: Disk, torn: TornPart[]): FileLeft {
  const fd = disk.openForReading(name.path)
  try {
    const bytes = readAll(disk, fd)
    const left: FileLeft = { boot: '', through: 0, hashes: new Map(), noted: [] }
    const keep = (at: number, length: number, where: 'middle' | 'file') =>
      torn.push(keepTorn(disk, dataDir, { fd, path: name.path }, { at, bytes: length, where }))
    for (let at = 0; at < bytes.length; at += CELL_BYTES) {
      const cell = readCell(bytes, at)
      if (cell === 'bad') keep(at, Math.min(CELL_BYTES, bytes.length - at), 'middle')
      else if (cell !== 'empty' && !take(left, cell)) {
        keep(0, bytes.length, 'file')
        return { ...left, noted: [] }
      }
    }
    return left
  } finally {
    disk.close(fd)
  }
}

/** False when the file is of a form that this program does not know. */
function take(left: FileLeft, cell: Cell): boolean {
  switch (cell.kind) {
    case 'file':
      left.boot = cell.boot
      return cell.version === INFLIGHT_VERSION
    case 'progress':
      left.through = cell.through
      return true
    case 'generation':
      left.hashes.set(cell.generation, cell.configHash)
      return true
    case 'request':
      left.noted.push(cell)
      return true
  }
}

function readAll(disk: Disk, fd: number): Buffer {
  const bytes = Buffer.alloc(disk.size(fd))
  let done = 0
  while (done < bytes.length) {
    const read = disk.read(fd, bytes.subarray(done), bytes.length - done, done)
    if (read === 0) break
    done += read
  }
  return bytes.subarray(0, done)
}

function decisionOf(request: RequestUnderWay): DecisionRecord {
  const { id, receivedAt, afterMs, generation, configHash, model, version, role } = request
  return {
    id,
    receivedAt,
    durationMs: -1,
    generation,
    configHash,
    traceId: '',
    client: { address: '', userAgent: '' },
    request: { method: '', path: '', contentType: '', bodyBytes: 0 },
    model,
    protocol: '',
    operation: '',
    pin: '',
    isShadow: false,
    keySource: '',
    plan: null,
    attempts: [startedAttempt(version, role, afterMs)],
    served: '',
    reason: '',
    degraded: '',
    status: 0,
    fault: { code: UNKNOWN_CRASH, message: FAULTS[UNKNOWN_CRASH].meaning, detail: '' },
    answer: null,
    finishReason: '',
    usage: null,
    kept: null,
  }
}

function startedAttempt(
  version: string,
  role: RequestUnderWay['role'],
  afterMs: number,
): DecisionRecord['attempts'][number] {
  const unknown = { queueMs: -1, connectMs: -1, firstByteMs: -1, totalMs: -1 }
  return {
    version,
    role,
    afterMs,
    endpoint: '',
    reused: false,
    ...unknown,
    status: 0,
    answerBytes: 0,
    faultCode: UNKNOWN_CRASH,
    faultDetail: '',
    verdict: 'neutral',
    hedge: null,
    sieve: null,
  }
}
