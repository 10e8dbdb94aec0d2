/**
 * What a lane and the writer thread know of each other, in shared memory: where the lane's journal stands,
 * how far the writer got, and the counters that metrics read, those of answers that wait for the disk too. Each number has exactly one thread that
 * writes it.
 *
 * The numbers of a side change together under a version word (odd while they change), so a reader sees either all
 * of one turn or all of another. Every access is atomic: between plain ones a processor may change the order
 * (ARM does), and the version would then prove nothing. Whole numbers up to 2^53 − 1, in two words each;
 * publishing costs 0.25 µs a turn (Node 20, two busy cores).
 */
const LANE_NUMBERS = 8
const WRITER_NUMBERS = 2
const WAITS_NUMBERS = 4
/** A version word, one of padding, and two words for each number. */
const wordsFor = (numbers: number): number => 2 + 2 * numbers
const LANE_AT = 0
const WRITER_AT = 4 * wordsFor(LANE_NUMBERS)
const WAITS_AT = WRITER_AT + 4 * wordsFor(WRITER_NUMBERS)
export const LANE_STATE_BYTES = WAITS_AT + 4 * wordsFor(WAITS_NUMBERS)
const TWO_32 = 0x1_0000_0000

/** Some numbers that one thread changes together and any may read. */
class SharedNumbers {
  readonly #words: Int32Array

  constructor(memory: SharedArrayBuffer, at: number, numbers: number) {
    this.#words = new Int32Array(memory, at, wordsFor(numbers))
  }

  get version(): number {
    return Atomics.load(this.#words, 0)
  }

  begin(): void {
    Atomics.add(this.#words, 0, 1)
  }

  set(index: number, value: number): void {
    Atomics.store(this.#words, 2 + 2 * index, value | 0)
    Atomics.store(this.#words, 3 + 2 * index, Math.floor(value / TWO_32))
  }

  end(): void {
    Atomics.add(this.#words, 0, 1)
  }

  get(index: number): number {
    const high = Atomics.load(this.#words, 3 + 2 * index)
    return high * TWO_32 + (Atomics.load(this.#words, 2 + 2 * index) >>> 0)
  }

  /** What `read` gives when nothing changed meanwhile. */
  whole<T>(read: (numbers: SharedNumbers) => T): T {
    for (;;) {
      const before = this.version
      const found = read(this)
      if ((before & 1) === 0 && this.version === before) return found
    }
  }
}

/** The lane's own numbers. */
export interface LanePosition {
  /** Number of the journal file being written; 0 before the first. */
  readonly file: number
  /** Valid bytes in it. */
  readonly offset: number
  /** Lane sequence of the last record handed out, written or lost. */
  readonly lastSequence: number
  readonly records: number
  /** Frame bytes written since the lane began. */
  readonly bytes: number
  readonly lost: number
  readonly digestsLost: number
  /** Of the records, those whose callers wait for them to be on the disk. */
  readonly durable: number
}

/** The lane's own too: answers that wait for their record to be on the disk. */
export interface LaneWaits {
  /** At present. */
  readonly waiting: number
  /** That left with a receipt, and how long all of them waited for it together, in ms. */
  readonly released: number
  readonly waitedMs: number
  /** That did not leave, because their record was not on the disk in time. */
  readonly withheld: number
}

export class LaneState {
  readonly #lane: SharedNumbers
  readonly #writer: SharedNumbers
  readonly #waits: SharedNumbers

  constructor(memory: SharedArrayBuffer) {
    this.#lane = new SharedNumbers(memory, LANE_AT, LANE_NUMBERS)
    this.#writer = new SharedNumbers(memory, WRITER_AT, WRITER_NUMBERS)
    this.#waits = new SharedNumbers(memory, WAITS_AT, WAITS_NUMBERS)
  }

  publish(position: LanePosition): void {
    const lane = this.#lane
    lane.begin()
    lane.set(0, position.file)
    lane.set(1, position.offset)
    lane.set(2, position.lastSequence)
    lane.set(3, position.records)
    lane.set(4, position.bytes)
    lane.set(5, position.lost)
    lane.set(6, position.digestsLost)
    lane.set(7, position.durable)
    lane.end()
  }

  position(): LanePosition {
    return this.#lane.whole(positionIn)
  }

  /** Changes whenever the lane published; cheap to compare. */
  get version(): number {
    return this.#lane.version
  }

  publishWaits({ waiting, released, waitedMs, withheld }: LaneWaits): void {
    const waits = this.#waits
    waits.begin()
    waits.set(0, waiting)
    waits.set(1, released)
    waits.set(2, Math.round(waitedMs))
    waits.set(3, withheld)
    waits.end()
  }

  waits(): LaneWaits {
    return this.#waits.whole(waitsIn)
  }

  /** Written by the writer thread: records in segments, and frame bytes that are there and synced. */
  setSequenced(records: number, syncedBytes: number): void {
    this.#writer.begin()
    this.#writer.set(0, records)
    this.#writer.set(1, syncedBytes)
    this.#writer.end()
  }

  get sequencedRecords(): number {
    return this.#writer.whole(firstIn)
  }

  get syncedBytes(): number {
    return this.#writer.whole(secondIn)
  }
}

const firstIn = (numbers: SharedNumbers): number => numbers.get(0)
const secondIn = (numbers: SharedNumbers): number => numbers.get(1)

function positionIn(numbers: SharedNumbers): LanePosition {
  return {
    file: numbers.get(0),
    offset: numbers.get(1),
    lastSequence: numbers.get(2),
    records: numbers.get(3),
    bytes: numbers.get(4),
    lost: numbers.get(5),
    digestsLost: numbers.get(6),
    durable: numbers.get(7),
  }
}

function waitsIn(numbers: SharedNumbers): LaneWaits {
  return {
    waiting: numbers.get(0),
    released: numbers.get(1),
    waitedMs: numbers.get(2),
    withheld: numbers.get(3),
  }
}
