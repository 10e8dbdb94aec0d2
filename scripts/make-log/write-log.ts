/**
 * Writes made traffic as a log, with the parts a gateway writes its own with, but without threads and journals:
 * some 200,000 records a second. The same options give the same bytes, keys of the log included.
 */

import { hash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SeededChance } from '../../native-bench/simulate/seeded-chance.ts'
import { Digester } from '../../src/audit/digests.ts'
import { type Disk, systemDisk } from '../../src/audit/disk.ts'
import { type Identity, keyNote, makeIdentity } from '../../src/audit/identity.ts'
import { KEY_FILE, segmentsOf } from '../../src/audit/paths.ts'
import { CHECKPOINT_RECORDS } from '../../src/audit/publish/checkpoints.ts'
import { Publisher } from '../../src/audit/publish/publisher.ts'
import { type DecisionRecord, writeDecision } from '../../src/audit/records/decision-record.ts'
import { pack } from '../../src/audit/records/msgpack.ts'
import type { Notes } from '../../src/audit/records/notes.ts'
import { noDigests, WRITER_LANE } from '../../src/audit/records/payload.ts'
import { type NoteType, RECORD_TYPES } from '../../src/audit/records/record-type.ts'
import { RowWriter } from '../../src/audit/records/row-writer.ts'
import { type ShadowRecord, writeShadow } from '../../src/audit/records/shadow-record.ts'
import { type StreamRecord, writeStream } from '../../src/audit/records/stream-record.ts'
import { SegmentWriter } from '../../src/audit/segment-writer.ts'
import { signCheckpoint } from '../../src/audit/tree/checkpoint.ts'
import { CompactRange } from '../../src/audit/tree/compact-range.ts'
import { keyOfSeed } from '../../src/audit/tree/note.ts'
import { castModels, castNames } from './cast.ts'
import { Traffic, type TrafficSink } from './traffic.ts'

export interface MadeLogOptions {
  readonly records: number
  readonly seed?: number
  readonly days?: number
  readonly lanes?: number
  /** Names, or how many. */
  readonly models?: readonly string[] | number
  /** Unix ms of the first record. */
  readonly from?: number
  readonly segmentBytesMax?: number
  /** Records of the last ones that no checkpoint covers, as after a crash. */
  readonly unsigned?: number
  /** Losses are not told by gap records, as no gateway would do it. */
  readonly silentLosses?: boolean
  readonly onProgress?: (done: number, of: number) => void
}

/** A Monday. */
const FROM = Date.UTC(2026, 10, 2)
const PROGRESS_EVERY = 50_000
const DIGEST_HEAD = Buffer.from([0xc4, 16])

/** A sync costs more than everything else here, and nobody's answer waits for this log. */
const UNSYNCED: Disk = { ...systemDisk, sync: () => undefined, syncDirectory: () => undefined }

/** `dataDir` must not hold a log yet. */
export function writeMadeLog(dataDir: string, options: MadeLogOptions): void {
  const { records, seed = 1, days = 7, lanes = 2, models = 5, from = FROM } = options
  const chance = new SeededChance(seed)
  const names = typeof models === 'number' ? castNames(models) : models
  const sink = new LogSink(dataDir, chance, options)
  new Traffic({ records, days, lanes, from, models: castModels(names) }, chance, sink).run()
  sink.close()
}

class LogSink implements TrafficSink {
  records = 0
  readonly #chance: SeededChance
  readonly #options: MadeLogOptions
  readonly #segment: SegmentWriter
  readonly #identity: Identity
  readonly #publisher: Publisher
  readonly #row = new RowWriter(Buffer.alloc(128 * 1024))
  readonly #digest = Buffer.alloc(16)
  #start = 0
  /** Last sequence of each lane in this run. */
  #sequences = new Map<number, number>()
  #wallMs: number

  constructor(dataDir: string, chance: SeededChance, options: MadeLogOptions) {
    this.#chance = chance
    this.#options = options
    this.#wallMs = options.from ?? FROM
    mkdirSync(segmentsOf(dataDir), { recursive: true, mode: 0o700 })
    mkdirSync(join(dataDir, 'keys'), { recursive: true, mode: 0o700 })
    const key = Buffer.alloc(32, options.seed ?? 1)
    writeFileSync(join(dataDir, KEY_FILE), key, { mode: 0o600 })
    const draw = (what: string) => hash('sha256', `${what} ${options.seed ?? 1}`, 'buffer')
    const origin = `modelgate/${draw('node').toString('hex', 0, 8)}/1`
    this.#identity = makeIdentity(dataDir, origin, keyOfSeed(draw('key')))
    this.#publisher = new Publisher(dataDir, UNSYNCED, { size: 0, edge: [] })
    const clock = { now: () => this.#wallMs, wall: () => this.#wallMs }
    const { segmentBytesMax } = options
    this.#segment = new SegmentWriter({
      ...{ dataDir, disk: UNSYNCED, clock, start: this.#wallMs, keyId: new Digester(key).keyId },
      ...{ originHash: this.#identity.originHash, tree: new CompactRange() },
      ...(segmentBytesMax === undefined ? {} : { bytesMax: segmentBytesMax }),
    })
  }

  run(startedAt: number): void {
    this.#wallMs = startedAt
    this.#start = startedAt
    this.#sequences = new Map()
    this.#segment.close()
    if (this.records > 0) return
    const { signer } = this.#identity
    this.note(WRITER_LANE, 'key', keyNote(startedAt, { from: null, to: signer, sequence: 0 }))
  }

  decision(lane: number, record: DecisionRecord, user: number): void {
    this.#row.begin(0)
    writeDecision(this.#row, record)
    this.#add(lane, RECORD_TYPES.decision, (target, at) => this.#digests(target, at, user))
  }

  shadow(lane: number, record: ShadowRecord): void {
    this.#row.begin(0)
    writeShadow(this.#row, record)
    this.#add(lane, RECORD_TYPES.shadow, noDigests)
  }

  stream(lane: number, record: StreamRecord): void {
    this.#row.begin(0)
    writeStream(this.#row, record)
    this.#add(lane, RECORD_TYPES.stream, noDigests)
  }

  note<T extends NoteType>(lane: number, type: T, note: Notes[T]): void {
    if (type === 'gap' && this.#options.silentLosses === true) return
    this.#wallMs = note.at
    this.#row.bytes.set(pack(note))
    this.#row.begin(pack(note).length)
    this.#add(lane, RECORD_TYPES[type], noDigests)
  }

  lost(lane: number, records: number): readonly [number, number] {
    const last = this.#sequences.get(lane) ?? 0
    this.#sequences.set(lane, last + records)
    return [last + 1, last + records]
  }

  #publish(): void {
    const { size, root, leaves } = this.#segment.takeTree()
    const { origin, signer } = this.#identity
    this.#publisher.add({ size, leaves, note: signCheckpoint({ origin, size, root }, [signer]) })
    this.#publisher.publish()
  }

  close(): void {
    if (this.#options.unsigned === undefined) this.#publish()
    this.#segment.flush()
    this.#segment.close()
  }

  #add(lane: number, type: number, digests: (target: Buffer, at: number) => number): void {
    const sequence = (this.#sequences.get(lane) ?? 0) + 1
    this.#sequences.set(lane, sequence)
    // A segment ends at the end of a batch: small segments need small batches.
    const isSmall = this.#options.segmentBytesMax !== undefined && this.records % 16 === 0
    if (isSmall || !this.#segment.hasRoom) this.#segment.flush()
    const record = this.#row.bytes.subarray(0, this.#row.at)
    this.#segment.add({ type, origin: { lane, start: this.#start, sequence } }, record, digests)
    this.records += 1
    const covered = this.#options.records - (this.#options.unsigned ?? 0)
    const isDue = this.records % CHECKPOINT_RECORDS === 0 && this.records < covered
    if (isDue || this.records === covered) this.#publish()
    if (this.records % PROGRESS_EVERY === 0) this.#options.onProgress?.(this.records, this.#options.records)
  }

  /** The same customer has the same digest; bodies are all different. */
  #digests(target: Buffer, at: number, user: number): number {
    if (user < 0) return noDigests(target, at)
    const of = (words: () => number, end: number): number => {
      target.set(DIGEST_HEAD, end)
      for (let word = 0; word < 4; word += 1) this.#digest.writeUInt32LE(words(), 4 * word)
      target.set(this.#digest, end + DIGEST_HEAD.length)
      return end + DIGEST_HEAD.length + this.#digest.length
    }
    const own = new SeededChance(user)
    const random = (chance: SeededChance) => () => Math.floor(chance.next() * 2 ** 32)
    return of(random(this.#chance), of(random(this.#chance), of(random(own), at)))
  }
}
