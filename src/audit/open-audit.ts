/**
 * The control thread's side of the log: takes the directory, starts the writer thread, hands each lane its
 * parts, writes the control plane's own records, and closes everything in order.
 *
 * Opening puts a log in order that was not closed and tells what it found. When the log is lost while running
 * (a sync failed, the thread died) no lane accepts a record any more and `onFatal` is called once: the process
 * must stop with an error, because it can no longer keep its promise.
 */
import { join } from 'node:path'
import { MessageChannel, Worker } from 'node:worker_threads'
import type { Clock } from '../kernel/clock.ts'
import { entryBeside } from '../kernel/entry.ts'
import { COMPLETION_BYTES } from './completions.ts'
import { openDigestKey } from './digests.ts'
import type { FromKeeper, KeeperData } from './keeper/keeper-thread.ts'
import { type JournalParts, LaneJournal } from './lane-journal.ts'
import { LANE_STATE_BYTES, LaneState, type LaneWaits } from './lane-state.ts'
import { keepTouched, type Lock, takeLock } from './lock.ts'
import { KEY_FILE } from './paths.ts'
import type { FromPublisher, PublisherData } from './publish/publisher-thread.ts'
import type { Notes, RecoveryReport } from './records/notes.ts'
import { CAPTURE_LANE, CONTROL_LANE } from './records/payload.ts'
import type { NoteType } from './records/record-type.ts'
import { RING_BYTES, ringMemory } from './ring.ts'
import { SIGNAL_BYTES, WriterSignal } from './writer-signal.ts'
import type { FromWriter, WriterStart } from './writer-thread.ts'

/** Over all lanes: journal bytes that may wait for the writer thread before records are refused. */
export const BACKLOG_BYTES_MAX = 256 * 1024 * 1024
const CONTROL_RING_BYTES = 4096
/** A segment of 16 MiB is taken apart there. */
const KEEPER_HEAP_MB_MAX = 512

export interface AuditOptions {
  readonly dataDir: string
  readonly lanes: number
  /** Journals: one for each thread that may be a lane; as many as lanes when not given. */
  readonly seats?: number
  readonly clock: Clock
  /** Per lane; a power of two. */
  readonly ringBytes?: number
  readonly backlogBytesMax?: number
  /** A larger body gets no digest; what the hand-over can take when not given. */
  readonly digestBytesMax?: number
  /** How long records are kept; for ever when not given, and while they are held. */
  readonly retentionMs?: number | null
  readonly isHeld?: boolean
  /** Told what an operator should know, one line at a time. */
  readonly warn?: (words: string) => void
}

export interface AuditProblem {
  readonly kind: 'audit-problem'
  /** One line for whoever starts the gateway. */
  readonly message: string
}

export interface AuditCounts extends LaneWaits {
  /** Records in journals, records in segments, records that could not be written. */
  readonly written: number
  readonly sequenced: number
  readonly lost: number
  readonly digestsLost: number
  /** Written but not yet in a synced segment. */
  readonly backlogBytes: number
}

export type OpenedAudit = { readonly audit: AuditWriter; readonly recovery: RecoveryReport }

export async function openAudit(options: AuditOptions): Promise<OpenedAudit | AuditProblem> {
  const { dataDir, clock } = options
  const taken = await takeDirectory(dataDir, clock)
  if (typeof taken === 'string') return problem(taken)
  let onLost = () => {}
  const lock = keepTouched(taken.lock, () => onLost())
  const { key } = taken
  const lanes = makeLanes(options)
  const { thread, publisher, published } = startThreads(dataDir, { key, lanes, signal: lanes[0]!.signal })
  const opened = await firstMessage(thread)
  if (opened.kind !== 'ready') {
    publisher.postMessage(null)
    lock.release()
    return problem('problem' in opened ? opened.problem : 'the writer thread ended')
  }
  const { start, origin } = opened
  const parts = lanes.map((lane) => ({ ...lane, start, origin }))
  const warn = options.warn ?? (() => {})
  const makeKeeper = () => startKeeper(options, published)
  const audit = new AuditWriter(parts, { thread, publisher, makeKeeper, lock, clock, origin, warn })
  onLost = () => audit.lose(`data_dir ${dataDir} was deleted or taken by another process while it was in use`)
  return { audit, recovery: opened.report }
}

function startThreads(dataDir: string, more: Pick<WriterStart, 'key' | 'lanes' | 'signal'>) {
  const { port1, port2 } = new MessageChannel()
  const published = new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT)
  const ofPublisher: PublisherData = { dataDir, port: port2, published }
  const publisher = new Worker(entryBeside(import.meta.url, './publish/publisher-thread'), {
    name: 'audit-publisher',
    workerData: ofPublisher,
    transferList: [port2],
  })
  const ofWriter: WriterStart = { dataDir, ...more, publisher: port1, published }
  const thread = new Worker(entryBeside(import.meta.url, './writer-thread'), {
    name: 'audit-writer',
    workerData: ofWriter,
    transferList: [port1],
  })
  return { thread, publisher, published }
}

function startKeeper(options: AuditOptions, published: SharedArrayBuffer): Worker {
  const { dataDir, retentionMs = null, isHeld = false } = options
  const workerData: KeeperData = { dataDir, published, retentionMs, isHeld }
  return new Worker(entryBeside(import.meta.url, './keeper/keeper-thread'), {
    name: 'audit-keeper',
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: KEEPER_HEAP_MB_MAX },
  })
}

async function takeDirectory(dataDir: string, clock: Clock): Promise<{ lock: Lock; key: Buffer } | string> {
  let lock: Lock | string = ''
  try {
    lock = await takeLock(dataDir, clock)
    if (typeof lock === 'string') return lock
    return { lock, key: openDigestKey(join(dataDir, KEY_FILE)) }
  } catch (error) {
    if (typeof lock !== 'string') lock.release()
    return `data_dir ${dataDir} cannot be used: ${(error as Error).message}`
  }
}

function problem(message: string): AuditProblem {
  return { kind: 'audit-problem', message }
}

/** The lanes' journals by seat, and behind them the capture thread's and the control thread's own. */
function makeLanes(options: AuditOptions): WriterStart['lanes'] {
  const { dataDir, lanes, seats = lanes } = options
  const signal = new SharedArrayBuffer(SIGNAL_BYTES)
  const backlogBytesMax = Math.floor((options.backlogBytesMax ?? BACKLOG_BYTES_MAX) / (lanes + 2))
  const laneOf = (lane: number, ringBytes: number) => ({
    dataDir,
    lane,
    state: new SharedArrayBuffer(LANE_STATE_BYTES),
    ring: ringMemory(ringBytes),
    signal,
    completions: new SharedArrayBuffer(COMPLETION_BYTES),
    backlogBytesMax,
    digestBytesMax: options.digestBytesMax ?? Number.POSITIVE_INFINITY,
  })
  const numbers = Array.from({ length: seats }, (_, seat) => seat)
  return [
    ...numbers.map((seat) => laneOf(seat, options.ringBytes ?? RING_BYTES)),
    laneOf(CAPTURE_LANE, CONTROL_RING_BYTES),
    laneOf(CONTROL_LANE, CONTROL_RING_BYTES),
  ]
}

/** Whatever comes first is the answer; the thread's later messages are for others. */
function firstMessage(thread: Worker): Promise<FromWriter> {
  const answered = new AbortController()
  return new Promise((resolve) => {
    const answer = (message: FromWriter) => {
      answered.abort()
      resolve(message)
    }
    const ended = (problem: string) => answer({ kind: 'cannot-open', problem })
    const listen = (name: string, heard: (value: unknown) => void) => {
      thread.once(name, heard)
      answered.signal.addEventListener('abort', () => thread.off(name, heard))
    }
    listen('message', (message) => answer(message as FromWriter))
    listen('error', (error) => ended(`the writer thread failed: ${(error as Error).message}`))
    listen('exit', () => ended('the writer thread ended'))
  })
}

const CHECKPOINTS_ARE_LATE = 'checkpoints of the log cannot be written, it is tried again each second'
const CHECKPOINTS_ARE_BACK = 'checkpoints of the log are written again'

interface AuditThread {
  readonly thread: Worker
  readonly publisher: Worker
  readonly makeKeeper: () => Worker
  readonly origin: string
  readonly warn: (words: string) => void
  readonly lock: Lock
  readonly clock: Clock
}

export class AuditWriter {
  /** Names the log. */
  readonly origin: string
  readonly #parts: readonly JournalParts[]
  readonly #states: readonly LaneState[]
  readonly #signal: WriterSignal
  readonly #control: LaneJournal
  readonly #lock: Lock
  readonly #ended: Promise<void>
  readonly #makeKeeper: () => Worker
  readonly #warn: (words: string) => void
  #keeper: { readonly thread: Worker; readonly ended: Promise<void> } | undefined
  #onFatal: (problem: string) => void = () => {}
  #fatal: string | undefined
  #isClosing = false
  #isClosed = false

  constructor(parts: readonly JournalParts[], threads: AuditThread) {
    const { thread, publisher, makeKeeper, lock, clock, origin, warn } = threads
    this.#makeKeeper = makeKeeper
    this.#warn = warn
    this.origin = origin
    this.#parts = parts
    this.#states = parts.map(({ state }) => new LaneState(state))
    const control = parts.at(-1)!
    this.#signal = new WriterSignal(control.signal)
    this.#control = new LaneJournal(control, clock)
    this.#lock = lock
    thread.on('message', (message: FromWriter) => {
      if (message.kind === 'closed') this.#isClosed = true
      if (message.kind === 'fatal') this.#fail(message.problem)
      if (message.kind === 'warning') warn(message.words)
    })
    thread.on('error', (error) => this.#fail(`the writer thread failed: ${(error as Error).message}`))
    publisher.on('message', ({ problem }: FromPublisher) => {
      warn(problem === '' ? CHECKPOINTS_ARE_BACK : `${CHECKPOINTS_ARE_LATE}: ${problem}`)
    })
    publisher.on('error', (error) => this.#fail(`the publisher thread failed: ${(error as Error).message}`))
    const published = new Promise<void>((resolve) => void publisher.once('exit', () => resolve()))
    this.#ended = new Promise((resolve) => {
      thread.once('exit', () => {
        if (!this.#isClosed) {
          this.#fail('the writer thread ended by itself')
          publisher.postMessage(null)
        }
        resolve(published)
      })
    })
  }

  /** No record can be believed to be kept any more: lanes refuse, and `onFatal` is told. */
  lose(problem: string): void {
    this.#fail(problem)
  }

  /** For a lane thread's workerData; there, `new LaneJournal(parts, clock)`. */
  laneParts(seat: number): JournalParts {
    const parts = this.#parts[seat]
    if (parts === undefined || seat >= this.#parts.length - 2)
      throw new RangeError(`there is no lane ${seat}`)
    return parts
  }

  /** For the capture thread's workerData. */
  get captureParts(): JournalParts {
    return this.#parts.at(-2)!
  }

  /** Called once, at once if it happened already. The process must stop with an error. */
  onFatal(callback: (problem: string) => void): void {
    this.#onFatal = callback
    if (this.#fatal !== undefined) callback(this.#fatal)
  }

  /** A record of the control plane's own, in the journal when this returns. */
  event<T extends NoteType>(type: T, note: Notes[T]): void {
    this.#control.available()
    this.#control.note(type, note)
    this.#control.flush()
  }

  /**
   * The same for what waits elsewhere and can be recorded later: false when it could not be written, and then no gap
   * tells of it if the trouble was known before.
   */
  recordIfAble<T extends NoteType>(type: T, note: Notes[T]): boolean {
    if (this.#isClosing || !this.#control.available()) return false
    const state = this.#states.at(-1)!
    const { lost } = state.position()
    this.event(type, note)
    return state.position().lost === lost
  }

  counts(): AuditCounts {
    const counts = {
      ...{ written: 0, sequenced: 0, lost: 0, digestsLost: 0, backlogBytes: 0 },
      ...{ waiting: 0, released: 0, waitedMs: 0, withheld: 0 },
    }
    for (const state of this.#states) {
      const { records, bytes, lost, digestsLost } = state.position()
      counts.written += records
      counts.sequenced += state.sequencedRecords
      counts.lost += lost
      counts.digestsLost += digestsLost
      counts.backlogBytes += Math.max(0, bytes - state.syncedBytes)
      const { waiting, released, waitedMs, withheld } = state.waits()
      counts.waiting += waiting
      counts.released += released
      counts.waitedMs += waitedMs
      counts.withheld += withheld
    }
    return counts
  }

  /** Sealing, indexing and deleting begin: once the gateway serves, because a start has no descriptors and no time to spare. */
  keepHouse(): void {
    const thread = this.#makeKeeper()
    thread.on('message', ({ words }: FromKeeper) => this.#warn(words))
    // What it would have done is done at the next start.
    thread.on('error', (error) =>
      this.#warn(`the log is no longer sealed and indexed: ${(error as Error).message}`),
    )
    this.#keeper = { thread, ended: new Promise((resolve) => void thread.once('exit', () => resolve())) }
  }

  /** After all lanes closed theirs: everything is sequenced and synced, the journals go, the lock is given back. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#control.close()
    this.#keeper?.thread.postMessage(null)
    this.#signal.close()
    await Promise.all([this.#ended, this.#keeper?.ended])
    this.#lock.release()
  }

  #fail(problem: string): void {
    this.#signal.fail()
    if (this.#fatal !== undefined) return
    this.#fatal = problem
    this.#onFatal(problem)
  }
}
