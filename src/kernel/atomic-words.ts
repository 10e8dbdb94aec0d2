/**
 * Words of 32 bits that threads share: what is written is seen by all in one order, and `swap` changes a word only
 * if it is still what was read. An interface, so that a test can stop between any two accesses.
 */
export interface SharedWords {
  load(at: number): number
  store(at: number, value: number): void
  /** True: it was `expected` and is `next` now. */
  swap(at: number, expected: number, next: number): boolean
}

export class AtomicWords implements SharedWords {
  readonly #words: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory)
  }

  load(at: number): number {
    return Atomics.load(this.#words, at)
  }

  store(at: number, value: number): void {
    Atomics.store(this.#words, at, value)
  }

  swap(at: number, expected: number, next: number): boolean {
    return Atomics.compareExchange(this.#words, at, expected, next) === expected
  }
}

const number = new Float64Array(1)
const halves = new Int32Array(number.buffer)

/** Two words; whoever reads them must know by other means that nobody writes them meanwhile. */
export function storeNumber(words: SharedWords, at: number, value: number): void {
  number[0] = value
  words.store(at, halves[0]!)
  words.store(at + 1, halves[1]!)
}

export function loadNumber(words: SharedWords, at: number): number {
  const low = words.load(at)
  const high = words.load(at + 1)
  halves[0] = low
  halves[1] = high
  return number[0]!
}
