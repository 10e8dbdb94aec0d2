/**
 * What a lane and the writer thread know of each other, in shared memory: where the lane's journal stands,
 * how far the writer got, and the counters that metrics read. Each number has exactly one thread that
 * writes it.
 *
 * The lane's numbers change together under a version word (odd while they change), so a reader sees either
 * all of one turn or all of another; publishing costs about 0.1 µs a turn. Numbers are doubles: exact up to
 * 2^53, and one aligned store each.
 */
const VERSION = 0
const WORDS_AT = 16
const WORDS = 9
export const LANE_STATE_BYTES = WORDS_AT + WORDS * 8

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
}

export class LaneState {
  readonly #version: Int32Array
  readonly #words: Float64Array

  constructor(memory: SharedArrayBuffer) {
    this.#version = new Int32Array(memory, 0, 4)
    this.#words = new Float64Array(memory, WORDS_AT, WORDS)
  }

  publish(position: LanePosition): void {
    const words = this.#words
    Atomics.add(this.#version, VERSION, 1)
    words[0] = position.file
    words[1] = position.offset
    words[2] = position.lastSequence
    words[3] = position.records
    words[4] = position.bytes
    words[5] = position.lost
    words[6] = position.digestsLost
    Atomics.add(this.#version, VERSION, 1)
  }

  position(): LanePosition {
    const words = this.#words
    for (;;) {
      const before = Atomics.load(this.#version, VERSION)
      const position = {
        file: words[0]!,
        offset: words[1]!,
        lastSequence: words[2]!,
        records: words[3]!,
        bytes: words[4]!,
        lost: words[5]!,
        digestsLost: words[6]!,
      }
      if ((before & 1) === 0 && Atomics.load(this.#version, VERSION) === before) return position
    }
  }

  /** Changes whenever the lane published; cheap to compare. */
  get version(): number {
    return Atomics.load(this.#version, VERSION)
  }

  /** Written by the writer thread: records in segments, and frame bytes that are there and synced. */
  setSequenced(records: number, syncedBytes: number): void {
    this.#words[7] = records
    this.#words[8] = syncedBytes
  }

  get sequencedRecords(): number {
    return this.#words[7]!
  }

  get syncedBytes(): number {
    return this.#words[8]!
  }
}
