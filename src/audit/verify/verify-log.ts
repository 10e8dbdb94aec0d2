/**
 * Checks a log from its files alone, beside a running gateway or without one: every header, checksum, sequence and
 * leaf hash, the tiles, the chain of roots in the headers, the checkpoint and who signed it; and whether anything is
 * missing. It never stops at the first bad place, changes nothing, and needs the same memory for a log of any size.
 *
 * The order of reading makes it safe beside a writer: the checkpoint first, then the list of segments, so whatever the
 * checkpoint covers is in them.
 */
import { join } from 'node:path'
import { type Disk, systemDisk } from '../disk.ts'
import { FILE_HEADER_BYTES } from '../file-header.ts'
import type { Frame } from '../frame.ts'
import { hashOfOrigin, readKeyList, readOriginFile } from '../identity.ts'
import {
  CHECKPOINT_FILE,
  KEY_LIST_FILE,
  listEpochs,
  listSegments,
  ORIGIN_FILE,
  type SegmentName,
} from '../paths.ts'
import { RECORD_TYPES, recordTypeOf } from '../records/record-type.ts'
import { openSegment, type SegmentReader } from '../segment-reader.ts'
import { readIfThere, readTileFile } from '../tile-files.ts'
import { type Checkpoint, openCheckpoint, parseCheckpointText } from '../tree/checkpoint.ts'
import { formatVerifierKey, parseNote, textOf, type VerifierKey } from '../tree/note.ts'
import { treeRoot } from '../tree/proof.ts'
import { TileMissing, TileTree } from '../tree/tiles.ts'
import { CompletenessCheck, fieldsOf } from './completeness.ts'
import { KeyChain } from './key-chain.ts'
import { BadPlaces, type CheckpointTold, type LogVerdict } from './log-verdict.ts'
import { checkRange } from './range-check.ts'
import { TreeCheck } from './tree-check.ts'
import { compareWitness, type Witness, type WitnessVerdict } from './witness.ts'

export interface VerifyOptions {
  readonly disk?: Disk
  /** Sequences, ends included: only segments that hold some of them are read. */
  readonly from?: number
  readonly to?: number
  /** Keys to believe; without, the log's own first one is. */
  readonly pinned?: readonly VerifierKey[]
  readonly witness?: Witness
  /** Called now and then, for a progress bar: bytes read, and bytes there are. */
  readonly onProgress?: (done: number, of: number) => void
}

const PROGRESS_EVERY = 20_000

/** Throws what the disk throws; a log that is not there at all is an empty one without an origin. */
export function verifyLog(dataDir: string, options: VerifyOptions = {}): LogVerdict {
  const verdict = new LogCheck(dataDir, options).run()
  const isPart = options.from !== undefined || options.to !== undefined
  const { prunedThrough } = verdict.completeness
  if (verdict.isWhole || isPart || prunedThrough <= verdict.first) return verdict
  // Deleting goes on, or was interrupted: what is left of those records is given up, and counts no more.
  return new LogCheck(dataDir, options, prunedThrough).run()
}

interface CheckpointFound extends Checkpoint {
  readonly note: string
}

class LogCheck {
  readonly #dataDir: string
  readonly #options: VerifyOptions
  readonly #disk: Disk
  readonly #bad = new BadPlaces()
  readonly #types = new Map<string, number>()
  readonly #origin: string | undefined
  readonly #keys: KeyChain
  readonly #checkpoint: CheckpointFound | undefined
  readonly #completeness: CompletenessCheck
  readonly #segments: readonly SegmentName[]
  readonly #all: readonly SegmentName[]
  readonly #witnessed = new Map<number, Buffer | undefined>()
  readonly #roots = new Map<number, Buffer | undefined>()
  #tree: TreeCheck | undefined
  #expected = 0
  #first = 0
  #records = 0
  #bytes = 0
  #bytesDone = 0
  #tailBytes = 0
  #isSettled = false
  /** Where damage of the segment at hand was told of. */
  #told = new Set<number>()

  /** `begin`: segments before this sequence do not count. */
  constructor(dataDir: string, options: VerifyOptions, begin = 0) {
    this.#dataDir = dataDir
    this.#options = options
    this.#disk = options.disk ?? systemDisk
    this.#origin = this.#readOrigin()
    this.#keys = new KeyChain(this.#origin ?? '', { pinned: options.pinned, listed: this.#listedKeys() })
    this.#checkpoint = this.#readCheckpoint()
    this.#all = listSegments(dataDir).filter(({ first }) => first >= begin)
    this.#segments = this.#chosen()
    for (const { sequence } of options.witness?.leaves ?? []) this.#witnessed.set(sequence, undefined)
    for (const { size } of options.witness?.trees ?? []) this.#roots.set(size, undefined)
    const first = this.#segments[0]?.first ?? 0
    this.#completeness = new CompletenessCheck(first === 0, this.#signed)
    this.#expected = first
    this.#first = first
    if (this.#origin !== undefined) this.#tree = this.#treeFrom(first)
  }

  run(): LogVerdict {
    for (const segment of this.#segments) this.#segment(segment, segment === this.#all.at(-1))
    this.#settle()
    if (!this.#isPartial) this.#checkEnds()
    const checkpoint = this.#checkSignature()
    const witness = this.#compareWitness()
    const problems = this.#bad.list()
    const last = this.#records === 0 ? 0 : this.#expected - 1
    return {
      isWhole: this.#bad.count === 0,
      firstBad: problems[0] ?? null,
      badPlaces: this.#bad.count,
      problems,
      origin: this.#origin ?? null,
      checkpoint,
      unsigned: Math.max(0, this.#expected - Math.max(this.#signed, this.#first)),
      segments: this.#segments.length,
      records: this.#records,
      types: this.#types,
      bytes: this.#bytesDone,
      first: this.#first,
      last,
      tailBytes: this.#tailBytes,
      completeness: this.#completeness.end(listEpochs(this.#dataDir)),
      witness,
    }
  }

  get #signed(): number {
    return this.#checkpoint?.size ?? 0
  }

  /** Not all segments are looked at. */
  get #isPartial(): boolean {
    return this.#segments.length < this.#all.length
  }

  #readOrigin(): string | undefined {
    try {
      const origin = readOriginFile(this.#dataDir)
      if (origin === undefined) this.#about(ORIGIN_FILE, 'the file is missing; it names the log')
      return origin
    } catch (error) {
      this.#about(ORIGIN_FILE, (error as Error).message)
      return undefined
    }
  }

  #listedKeys(): readonly VerifierKey[] {
    try {
      return readKeyList(this.#dataDir)
    } catch (error) {
      if (this.#options.pinned === undefined) this.#about(KEY_LIST_FILE, (error as Error).message)
      return []
    }
  }

  /** What it says; who signed it is looked at last, when all keys are known. */
  #readCheckpoint(): CheckpointFound | undefined {
    const bytes = readIfThere(join(this.#dataDir, CHECKPOINT_FILE))
    const note = bytes === undefined ? undefined : textOf(bytes)
    const parsed = note === undefined ? 'it is missing, or no text' : parseNote(note)
    const checkpoint = typeof parsed === 'string' ? parsed : parseCheckpointText(parsed.text)
    if (typeof checkpoint !== 'string' && note !== undefined) return { ...checkpoint, note }
    this.#about(CHECKPOINT_FILE, typeof checkpoint === 'string' ? checkpoint : 'it is missing')
    return undefined
  }

  #chosen(): readonly SegmentName[] {
    const { from = 0, to = Infinity } = this.#options
    // Behind the checkpoint there are no tiles to begin with.
    const begin = Math.min(from, this.#signed)
    const start = Math.max(
      0,
      this.#all.findLastIndex(({ first }) => first <= begin),
    )
    const chosen = this.#all.filter(({ first }, index) => index >= start && first <= to)
    for (const { path } of chosen) this.#bytes += readSize(this.#disk, path)
    return chosen
  }

  #treeFrom(begin: number): TreeCheck | undefined {
    const readTile = (name: Parameters<typeof readTileFile>[1]) => readTileFile(this.#dataDir, name)
    try {
      return new TreeCheck(begin, {
        signed: this.#signed,
        readTile,
        onBad: (place) => this.#bad.add(place),
        onLeaf: (sequence, leaf) => this.#leaf(sequence, leaf),
      })
    } catch (error) {
      if (!(error instanceof TileMissing)) throw error
      this.#bad.add({ file: error.message.split(' ')[0]!, at: 0, sequence: begin, problem: error.message })
      return undefined
    }
  }

  #about(file: string, problem: string): void {
    this.#bad.add({ file, at: 0, sequence: null, problem })
  }

  #segment(name: SegmentName, isLast: boolean): void {
    const reader = openSegment(this.#disk, name, { asksIndex: true })
    if (reader === undefined) {
      this.#bad.add({ file: name.file, at: 0, sequence: this.#expected, problem: 'the segment is gone' })
      return
    }
    this.#told = new Set()
    try {
      this.#header(reader, isLast)
      this.#frames(reader)
      this.#leftovers(reader, isLast)
      this.#bytesDone += reader.size
      this.#progress(0)
    } finally {
      reader.close()
    }
  }

  #header({ name, header, size }: SegmentReader, isLast: boolean): void {
    const bad = (problem: string) =>
      this.#bad.add({ file: name.file, at: 0, sequence: this.#expected, problem })
    if (name.first !== this.#expected) {
      bad(`the segment begins at ${name.first}, not ${this.#expected}`)
      this.#skipTo(name.first)
    }
    if (typeof header === 'string') {
      if (!isLast || size >= FILE_HEADER_BYTES || this.#expected < this.#signed) bad(header)
      return
    }
    if (header.first !== name.first) return bad(`the header says that it begins at ${header.first}`)
    if (this.#origin === undefined) return
    if (!header.originHash.equals(hashOfOrigin(this.#origin))) return bad('the segment is of another log')
    if (this.#tree === undefined || this.#tree.isDoubtful || this.#tree.size !== name.first) return
    if (!header.rootBefore.equals(this.#tree.root())) bad('it was written behind other records than these')
  }

  #frames(reader: SegmentReader): void {
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (frame.sequence !== this.#expected) this.#hole(reader, frame)
      if (frame.flags !== 0) this.#badFrame(reader, frame, 'the record here has flags; in a segment none has')
      this.#record(reader, frame)
      if (frame.sequence % PROGRESS_EVERY === 0) this.#progress(frame.at)
    }
  }

  #hole(reader: SegmentReader, frame: Frame): void {
    const damage = reader.damages.findLast(({ at }) => at < frame.at)
    if (damage !== undefined) this.#told.add(damage.at)
    const problem = `${damage === undefined ? '' : `${damage.problem}; `}the next record is ${frame.sequence}`
    this.#bad.add({ file: reader.name.file, at: damage?.at ?? frame.at, sequence: this.#expected, problem })
    this.#skipTo(frame.sequence)
  }

  #skipTo(sequence: number): void {
    if (sequence > this.#expected && this.#tree?.fill(sequence) === false) this.#tree = undefined
    if (sequence < this.#expected) this.#tree = undefined
    this.#expected = sequence
  }

  #badFrame({ name }: SegmentReader, { at, sequence }: Frame, problem: string): void {
    this.#bad.add({ file: name.file, at, sequence, problem })
  }

  #record(reader: SegmentReader, frame: Frame): void {
    this.#tree?.append(frame.entry, reader.name.file, frame.at)
    this.#expected = frame.sequence + 1
    this.#records += 1
    const type = recordTypeOf(frame.type) ?? `type-${frame.type}`
    this.#types.set(type, (this.#types.get(type) ?? 0) + 1)
    if (frame.type === RECORD_TYPES.key) {
      const problem = this.#keys.take(fieldsOf(frame.payload), frame.sequence)
      if (problem !== undefined) this.#badFrame(reader, frame, problem)
    } else if (frame.sequence === 0) this.#badFrame(reader, frame, 'a log begins with a key record')
    this.#completeness.see(frame)
    if (this.#expected === this.#signed) this.#settle()
  }

  /** Damage that no hole was told of: at the end of the segment, or between whole records. */
  #leftovers(reader: SegmentReader, isLast: boolean): void {
    for (const { at, bytes, where, problem } of reader.damages) {
      const isTail = where === 'tail' && isLast && this.#expected >= this.#signed
      if (isTail) this.#tailBytes = bytes
      else if (!this.#told.has(at))
        this.#bad.add({ file: reader.name.file, at, sequence: this.#expected, problem })
    }
    if (isLast && typeof reader.header === 'string' && reader.size < FILE_HEADER_BYTES)
      this.#tailBytes = reader.size
  }

  #progress(within: number): void {
    this.#options.onProgress?.(this.#bytesDone + within, this.#bytes)
  }

  #settle(): void {
    const checkpoint = this.#checkpoint
    if (this.#isSettled || checkpoint === undefined || this.#tree?.size !== checkpoint.size) return
    this.#isSettled = true
    this.#tree.settle(checkpoint.root)
  }

  /** The root of a witnessed tree is known when it has as many leaves; a receipt's leaf when it is met. */
  #leaf(sequence: number, leaf: Buffer): void {
    if (this.#witnessed.has(sequence)) this.#witnessed.set(sequence, Buffer.from(leaf))
    if (this.#roots.has(sequence + 1)) this.#roots.set(sequence + 1, this.#tree?.root())
  }

  /** That nothing is missing at either end. */
  #checkEnds(): void {
    const first = this.#all[0]?.first ?? 0
    const { through, root } = this.#completeness.pruned
    if (first > 0 && through !== first) {
      const problem = `records before ${first} are missing, and no prune record tells of it`
      this.#bad.add({ file: 'segments', at: 0, sequence: 0, problem })
    } else if (first > 0 && root !== this.#rootAt(first)?.toString('base64')) {
      this.#bad.add({
        file: 'tile',
        at: 0,
        sequence: 0,
        problem: 'the prune record tells of other records before',
      })
    }
    if (this.#expected >= this.#signed) return
    const last = this.#all.at(-1)
    const at = last === undefined ? 0 : readSize(this.#disk, last.path)
    const problem = `records from here on are missing; the checkpoint covers ${this.#signed}`
    this.#bad.add({ file: last?.file ?? 'segments', at, sequence: this.#expected, problem })
  }

  #rootAt(size: number): Buffer | undefined {
    try {
      return size > this.#signed
        ? undefined
        : treeRoot(size, new TileTree(this.#signed, (name) => readTileFile(this.#dataDir, name)))
    } catch {
      return undefined
    }
  }

  #checkSignature(): CheckpointTold | null {
    const checkpoint = this.#checkpoint
    if (checkpoint === undefined) return null
    const { size, origin } = checkpoint
    const opened = openCheckpoint(checkpoint.note, this.#keys.trusted)
    if (typeof opened === 'string') this.#about(CHECKPOINT_FILE, opened)
    else if (this.#origin !== undefined && origin !== this.#origin)
      this.#about(CHECKPOINT_FILE, `it is of another log: ${origin}, not ${this.#origin}`)
    if (this.#isPartial && !this.#isSettled) {
      const tree = new TileTree(size, (name) => readTileFile(this.#dataDir, name))
      const range = { from: this.#first, end: Math.min(this.#expected, size) }
      const bad = checkRange(range, checkpoint, tree)
      if (bad !== undefined) this.#bad.add(bad)
      this.#tree?.tell(bad !== undefined)
    }
    const signedBy = typeof opened === 'string' ? [] : opened.signedBy.map(formatVerifierKey)
    const isPinned = this.#options.pinned !== undefined
    return { size, root: checkpoint.root.toString('base64'), signedBy, isPinned }
  }

  #compareWitness(): WitnessVerdict | null {
    const { witness } = this.#options
    if (witness === undefined) return null
    const verdict = compareWitness(witness, {
      origin: this.#origin ?? '',
      keys: this.#keys.trusted,
      records: this.#isPartial ? Math.max(this.#expected, this.#signed) : this.#expected,
      signed: this.#checkpoint === undefined ? null : this.#signed,
      rootOf: (size) => this.#roots.get(size) ?? this.#rootAt(size),
      leafOf: (sequence) => this.#witnessed.get(sequence),
    })
    for (const problem of verdict.contradictions) this.#about(CHECKPOINT_FILE, problem)
    return verdict
  }
}

function readSize(disk: Disk, path: string): number {
  try {
    const fd = disk.openForReading(path)
    try {
      return disk.size(fd)
    } finally {
      disk.close(fd)
    }
  } catch {
    return 0
  }
}
