/**
 * How the writer thread tells a lane which of its durable records are on the disk: for each its place in the log and its
 * leaf hash. One producer, one consumer, no waiting on either side. What finds no room is not told; the lane
 * sees that from what comes behind it, or from its own patience, and takes the record for unsure.
 *
 * Words: entries put, entries taken (both modulo 2^32), and the wake word on which the lane waits. An entry is the lane's own sequence
 * (f64), the global one (f64) and 32 bytes of hash; entries become visible with one atomic store, when they are on the disk.
 */
const PUT = 0
const TAKEN = 1
const WAKE = 2
const CONTROL_BYTES = 64
const ENTRY_BYTES = 48
const HASH_BYTES = 32

/** Entries; a power of two. Twice what a lane lets wait, because it may have let in as many before it knew. */
export const COMPLETIONS_MAX = 8192
const MASK = COMPLETIONS_MAX - 1
export const COMPLETION_BYTES = CONTROL_BYTES + COMPLETIONS_MAX * ENTRY_BYTES

export interface Completion {
  /** The lane's own. */
  readonly laneSequence: number
  /** In the log. */
  readonly sequence: number
  /** Lower-case hex. */
  readonly leafHash: string
}

const placeOf = (count: number): number => CONTROL_BYTES + (count & MASK) * ENTRY_BYTES

export class CompletionProducer {
  readonly #words: Int32Array
  readonly #bytes: Buffer
  /** Entries, those not yet told included. */
  #staged: number

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, CONTROL_BYTES / 4)
    this.#bytes = Buffer.from(memory)
    this.#staged = this.#words[PUT]!
  }

  /** Entries that are not told yet. */
  get staged(): number {
    return (this.#staged - this.#words[PUT]!) | 0
  }

  /** To be told later. `leaf`: 32 bytes. */
  stage(laneSequence: number, sequence: number, leaf: Buffer): void {
    if (((this.#staged - Atomics.load(this.#words, TAKEN)) | 0) >= COMPLETIONS_MAX) return
    const at = placeOf(this.#staged)
    this.#bytes.writeDoubleLE(laneSequence, at)
    this.#bytes.writeDoubleLE(sequence, at + 8)
    leaf.copy(this.#bytes, at + 16)
    this.#staged = (this.#staged + 1) | 0
  }

  /** What was staged is on the disk: tells so. */
  tell(): void {
    if (this.#staged === this.#words[PUT]) return
    Atomics.store(this.#words, PUT, this.#staged)
    this.wake()
  }

  /** Has the lane look at what it knows of the log. */
  wake(): void {
    Atomics.add(this.#words, WAKE, 1)
    Atomics.notify(this.#words, WAKE)
  }
}

/** Of ES2024, and in Node 20. */
type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
) => { readonly async: boolean; readonly value: unknown }
const { waitAsync } = Atomics as unknown as { readonly waitAsync: WaitAsync }

export class CompletionConsumer {
  readonly #words: Int32Array
  readonly #bytes: Buffer

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, CONTROL_BYTES / 4)
    this.#bytes = Buffer.from(memory)
  }

  /** The oldest that was not taken yet. */
  take(): Completion | undefined {
    const taken = this.#words[TAKEN]!
    if (Atomics.load(this.#words, PUT) === taken) return undefined
    const at = placeOf(taken)
    const completion = {
      laneSequence: this.#bytes.readDoubleLE(at),
      sequence: this.#bytes.readDoubleLE(at + 8),
      leafHash: this.#bytes.toString('hex', at + 16, at + 16 + HASH_BYTES),
    }
    Atomics.store(this.#words, TAKEN, (taken + 1) | 0)
    return completion
  }

  /** Changes with each wake. */
  get wakes(): number {
    return Atomics.load(this.#words, WAKE)
  }

  /** Calls once, in a later turn, when there was a wake since `wakes` was read; keeps no loop alive. */
  onWake(wakes: number, call: () => void): void {
    const { async, value } = waitAsync(this.#words, WAKE, wakes)
    if (async) void (value as Promise<unknown>).then(call)
    else setImmediate(call)
  }
}
