/**
 * Checks a log from its files alone, beside a running gateway or without one: every header, checksum, sequence and
 * leaf hash, the tiles, the chain of roots in the headers, the checkpoint and who signed it; and whether anything is
 * missing. It never stops at the first bad place, changes nothing, and needs the same memory for a log of any size.
 *
 * The order of reading makes it safe beside a writer: the checkpoint first, then the list of segments, so whatever the
 * checkpoint covers is in them.
 */
import { type Disk, systemDisk } from '../disk.ts'
import { CHECKPOINT_FILE, listEpochs, listSegments, type SegmentName } from '../paths.ts'
import { openSegment, ReadingRoom } from '../segment-reader.ts'
import { readTileFile } from '../tile-files.ts'
import { openCheckpoint } from '../tree/checkpoint.ts'
import { formatVerifierKey, type VerifierKey } from '../tree/note.ts'
import { treeRoot } from '../tree/proof.ts'
import { TileMissing, TileTree } from '../tree/tiles.ts'
import { type Anchors, readAnchors } from './anchors.ts'
import { CompletenessCheck } from './completeness.ts'
import { KeyChain } from './key-chain.ts'
import { BadPlaces, type CheckpointTold, type LogVerdict } from './log-verdict.ts'
import { checkRange } from './range-check.ts'
import { RecordCheck } from './record-check.ts'
import { checkSegment } from './segment-check.ts'
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

/** Throws what the disk throws; a log that is not there at all is an empty one without an origin. */
export function verifyLog(dataDir: string, options: VerifyOptions = {}): LogVerdict {
  const verdict = new LogCheck(dataDir, options).run()
  const isPart = options.from !== undefined || options.to !== undefined
  const { prunedThrough } = verdict.completeness
  if (verdict.isWhole || isPart || prunedThrough <= verdict.first) return verdict
  // Deleting goes on, or was interrupted: what is left of those records is given up, and counts no more.
  return new LogCheck(dataDir, options, prunedThrough).run()
}

class LogCheck {
  readonly #dataDir: string
  readonly #options: VerifyOptions
  readonly #disk: Disk
  readonly #room = new ReadingRoom()
  readonly #bad = new BadPlaces()
  readonly #anchors: Anchors
  readonly #keys: KeyChain
  readonly #completeness: CompletenessCheck
  readonly #all: readonly SegmentName[]
  readonly #segments: readonly SegmentName[]
  readonly #records: RecordCheck
  /** Sequence of the first record looked at. */
  readonly #first: number
  readonly #witnessed = new Map<number, Buffer | undefined>()
  readonly #roots = new Map<number, Buffer | undefined>()
  readonly #bytes: number
  #bytesDone = 0
  #tailBytes = 0

  /** `begin`: segments before this sequence do not count. */
  constructor(dataDir: string, options: VerifyOptions, begin = 0) {
    this.#dataDir = dataDir
    this.#options = options
    this.#disk = options.disk ?? systemDisk
    const { pinned, witness } = options
    this.#anchors = readAnchors(dataDir, pinned !== undefined, this.#bad)
    const { origin, listed, checkpoint } = this.#anchors
    this.#keys = new KeyChain(origin ?? '', { pinned, listed })
    this.#all = listSegments(dataDir).filter(({ first }) => first >= begin)
    this.#segments = chosenOf(this.#all, options, this.#signed)
    this.#bytes = this.#segments.reduce((sum, { path }) => sum + readSize(this.#disk, path), 0)
    for (const { sequence } of witness?.leaves ?? []) this.#witnessed.set(sequence, undefined)
    for (const { size } of witness?.trees ?? []) this.#roots.set(size, undefined)
    this.#first = this.#segments[0]?.first ?? 0
    this.#completeness = new CompletenessCheck(this.#first === 0, this.#signed)
    this.#records = new RecordCheck({
      checkpoint,
      keys: this.#keys,
      completeness: this.#completeness,
      tree: origin === undefined ? undefined : this.#treeFrom(this.#first),
      bad: this.#bad,
      first: this.#first,
    })
  }

  run(): LogVerdict {
    for (const segment of this.#segments) this.#segment(segment, segment === this.#all.at(-1))
    const records = this.#records
    records.settle()
    if (!this.#isPartial) this.#checkEnds()
    const checkpoint = this.#checkSignature()
    const witness = this.#compareWitness()
    const problems = this.#bad.list()
    return {
      isWhole: this.#bad.count === 0,
      firstBad: problems[0] ?? null,
      badPlaces: this.#bad.count,
      problems,
      origin: this.#anchors.origin ?? null,
      checkpoint,
      unsigned: Math.max(0, records.expected - Math.max(this.#signed, this.#first)),
      segments: this.#segments.length,
      records: records.records,
      types: records.types,
      bytes: this.#bytesDone,
      first: this.#first,
      last: records.records === 0 ? 0 : records.expected - 1,
      tailBytes: this.#tailBytes,
      completeness: this.#completeness.end(listEpochs(this.#dataDir)),
      witness,
    }
  }

  get #signed(): number {
    return this.#anchors.checkpoint?.size ?? 0
  }

  /** Not all segments are looked at. */
  get #isPartial(): boolean {
    return this.#segments.length < this.#all.length
  }

  #treeFrom(begin: number): TreeCheck | undefined {
    const isWitnessed = this.#options.witness !== undefined
    try {
      return new TreeCheck(begin, {
        signed: this.#signed,
        readTile: (name) => readTileFile(this.#dataDir, name),
        onBad: (place) => this.#bad.add(place),
        onLeaf: isWitnessed ? (sequence, leaf) => this.#leaf(sequence, leaf) : undefined,
      })
    } catch (error) {
      if (!(error instanceof TileMissing)) throw error
      this.#bad.add({ file: error.message.split(' ')[0]!, at: 0, sequence: begin, problem: error.message })
      return undefined
    }
  }

  #segment(name: SegmentName, isLast: boolean): void {
    const reader = openSegment(this.#disk, name, { asksIndex: true, room: this.#room })
    if (reader === undefined) {
      const sequence = this.#records.expected
      return this.#bad.add({ file: name.file, at: 0, sequence, problem: 'the segment is gone' })
    }
    try {
      const tailBytes = checkSegment({
        reader,
        records: this.#records,
        bad: this.#bad,
        origin: this.#anchors.origin,
        signed: this.#signed,
        isLast,
        onProgress: (at) => this.#options.onProgress?.(this.#bytesDone + at, this.#bytes),
      })
      if (isLast) this.#tailBytes = tailBytes
      this.#bytesDone += reader.size
      this.#options.onProgress?.(this.#bytesDone, this.#bytes)
    } finally {
      reader.close()
    }
  }

  /** The root of a witnessed tree is known when it has as many leaves; a receipt's leaf when it is met. */
  #leaf(sequence: number, leaf: Buffer): void {
    if (this.#witnessed.has(sequence)) this.#witnessed.set(sequence, Buffer.from(leaf))
    if (this.#roots.has(sequence + 1)) this.#roots.set(sequence + 1, this.#records.tree?.root())
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
    const { expected } = this.#records
    if (expected >= this.#signed) return
    const last = this.#all.at(-1)
    const at = last === undefined ? 0 : readSize(this.#disk, last.path)
    const problem = `records from here on are missing; the checkpoint covers ${this.#signed}`
    this.#bad.add({ file: last?.file ?? 'segments', at, sequence: expected, problem })
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
    const { checkpoint, origin } = this.#anchors
    if (checkpoint === undefined) return null
    const { size } = checkpoint
    const opened = openCheckpoint(checkpoint.note, this.#keys.trusted)
    if (typeof opened === 'string') this.#bad.about(CHECKPOINT_FILE, opened)
    else if (origin !== undefined && checkpoint.origin !== origin)
      this.#bad.about(CHECKPOINT_FILE, `it is of another log: ${checkpoint.origin}, not ${origin}`)
    if (this.#isPartial && !this.#records.isSettled) {
      const tree = new TileTree(size, (name) => readTileFile(this.#dataDir, name))
      const range = { from: this.#first, end: Math.min(this.#records.expected, size) }
      const bad = checkRange(range, checkpoint, tree)
      if (bad !== undefined) this.#bad.add(bad)
      this.#records.tree?.tell(bad !== undefined)
    }
    const signedBy = typeof opened === 'string' ? [] : opened.signedBy.map(formatVerifierKey)
    const isPinned = this.#options.pinned !== undefined
    return { size, root: checkpoint.root.toString('base64'), signedBy, isPinned }
  }

  #compareWitness(): WitnessVerdict | null {
    const { witness } = this.#options
    if (witness === undefined) return null
    const { expected } = this.#records
    const verdict = compareWitness(witness, {
      origin: this.#anchors.origin ?? '',
      keys: this.#keys.trusted,
      records: this.#isPartial ? Math.max(expected, this.#signed) : expected,
      signed: this.#anchors.checkpoint === undefined ? null : this.#signed,
      rootOf: (size) => this.#roots.get(size) ?? this.#rootAt(size),
      leafOf: (sequence) => this.#witnessed.get(sequence),
    })
    for (const problem of verdict.contradictions) this.#bad.about(CHECKPOINT_FILE, problem)
    return verdict
  }
}

/** Segments that hold some of the records asked for, and whatever is between these. */
function chosenOf(
  all: readonly SegmentName[],
  { from = 0, to = Infinity }: VerifyOptions,
  signed: number,
): readonly SegmentName[] {
  // Behind the checkpoint there are no tiles to begin with.
  const begin = Math.min(from, signed)
  const start = all.findLastIndex(({ first }) => first <= begin)
  return all.filter(({ first }, index) => index >= start && first <= to)
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
