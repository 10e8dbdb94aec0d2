/** A small log written record by record, with the parts a gateway writes its own with: fixed clock, chance and keys. */
import { hash } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Disk, systemDisk } from '../../src/audit/disk.ts'
import { announceKey, type Identity, keyNote, makeIdentity } from '../../src/audit/identity.ts'
import { SIGNING_KEY_FILE, segmentsOf } from '../../src/audit/paths.ts'
import { Publisher } from '../../src/audit/publish/publisher.ts'
import { type DecisionRecord, writeDecision } from '../../src/audit/records/decision-record.ts'
import { pack } from '../../src/audit/records/msgpack.ts'
import { noDigests, WRITER_LANE } from '../../src/audit/records/payload.ts'
import { type NoteType, RECORD_TYPES } from '../../src/audit/records/record-type.ts'
import { RowWriter } from '../../src/audit/records/row-writer.ts'
import { SegmentWriter } from '../../src/audit/segment-writer.ts'
import { signCheckpoint } from '../../src/audit/tree/checkpoint.ts'
import { CompactRange } from '../../src/audit/tree/compact-range.ts'
import { LeafBuffer } from '../../src/audit/tree/leaf-buffer.ts'
import { keyOfSeed, type NoteSigner, noteSigner } from '../../src/audit/tree/note.ts'

const UNSYNCED: Disk = { ...systemDisk, sync: () => undefined, syncDirectory: () => undefined }
const FROM = Date.UTC(2026, 10, 2, 9)
const KEY_ID = '0011223344556677'

/** The key that 32 drawn bytes make, of the log `origin`. */
export function drawnSigner(origin: string, what: string): NoteSigner {
  return noteSigner(origin, keyOfSeed(hash('sha256', `vectors ${what}`, 'buffer')))
}

export class VectorLog {
  readonly dataDir: string
  readonly identity: Identity
  readonly #publisher: Publisher
  readonly #row = new RowWriter(Buffer.alloc(128 * 1024))
  readonly #tree = new CompactRange()
  readonly #unpublished = new LeafBuffer()
  #segment: SegmentWriter
  #signer: NoteSigner
  #now = FROM
  #start = FROM
  #sequences = new Map<number, number>()

  /** `node`: 16 hex digits. `dataDir` must not be there yet. */
  constructor(dataDir: string, node: string) {
    this.dataDir = dataDir
    mkdirSync(segmentsOf(dataDir), { recursive: true })
    const origin = `modelgate/${node}/1`
    const { privateKey } = drawnSigner(origin, 'first key')
    this.identity = makeIdentity(dataDir, origin, privateKey)
    // A checker needs none, and a secret in a repository is a bad example.
    rmSync(join(dataDir, SIGNING_KEY_FILE))
    this.#signer = this.identity.signer
    this.#publisher = new Publisher(dataDir, UNSYNCED, { size: 0, edge: [] })
    this.#segment = this.#newSegments()
    this.note(WRITER_LANE, 'key', keyNote(this.#now, { from: null, to: this.#signer, sequence: 0 }))
  }

  /** Sequence of the next record. */
  get next(): number {
    return this.#tree.size
  }

  /** Root of the tree of all records so far. */
  root(): Buffer {
    return this.#tree.root()
  }

  /** Another run of the gateway: a segment of its own, and lanes that count from 1. */
  run(): void {
    this.endSegment()
    this.#now += 60_000
    this.#start = this.#now
    this.#sequences = new Map()
    this.#segment = this.#newSegments()
  }

  note(lane: number, type: NoteType, note: object): void {
    this.#now += 7
    const packed = pack({ at: this.#now, ...note })
    this.#row.bytes.set(packed)
    this.#row.begin(packed.length)
    this.#add(lane, RECORD_TYPES[type])
  }

  decision(lane: number, record: DecisionRecord): void {
    this.#now += 3
    this.#row.begin(0)
    writeDecision(this.#row, record)
    this.#add(lane, RECORD_TYPES.decision)
  }

  /** Records that the lane counted, and that never reached the log: the first and the last. */
  lose(lane: number, records: number): { readonly from: number; readonly to: number } {
    const last = this.#sequences.get(lane) ?? 0
    this.#sequences.set(lane, last + records)
    return { from: last + 1, to: last + records }
  }

  endSegment(): void {
    this.#segment.flush()
    this.#segment.close()
  }

  rotate(): void {
    const to = drawnSigner(this.identity.origin, 'second key')
    announceKey(this.dataDir, to.key)
    this.note(WRITER_LANE, 'key', keyNote(this.#now, { from: this.#signer, to, sequence: this.next }))
    this.#signer = to
  }

  checkpoint(): string {
    const { size, root, leaves } = this.#segment.takeTree()
    const note = signCheckpoint({ origin: this.identity.origin, size, root }, [this.#signer])
    this.#publisher.add({ size, leaves, note })
    this.#publisher.publish()
    return note
  }

  #newSegments(): SegmentWriter {
    const clock = { now: () => this.#now, wall: () => this.#now }
    return new SegmentWriter({
      ...{ dataDir: this.dataDir, disk: UNSYNCED, clock, start: this.#start, keyId: KEY_ID },
      ...{ originHash: this.identity.originHash, tree: this.#tree, unpublished: this.#unpublished },
    })
  }

  #add(lane: number, type: number): void {
    const sequence = (this.#sequences.get(lane) ?? 0) + 1
    this.#sequences.set(lane, sequence)
    const record = this.#row.bytes.subarray(0, this.#row.at)
    if (!this.#segment.hasRoom) this.#segment.flush()
    this.#segment.add({ type, origin: { lane, start: this.#start, sequence } }, record, noDigests)
  }
}
