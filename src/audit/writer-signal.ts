/**
 * How lanes wake the writer thread, and how it tells them that the log is lost. The writer sleeps on a word
 * in shared memory; a lane pays for waking it only when it said that it sleeps.
 */
const WAKE = 0
const SLEEPING = 1
const FATAL = 2
const CLOSING = 3
export const SIGNAL_BYTES = 16

export class WriterSignal {
  readonly #words: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory)
  }

  /** After something was published. */
  wake(): void {
    if (Atomics.load(this.#words, SLEEPING) === 0) return
    Atomics.add(this.#words, WAKE, 1)
    Atomics.notify(this.#words, WAKE)
  }

  /**
   * Blocks the writer thread up to `ms`. With `isIdle`, lanes wake it; `hasNews` is asked once more after that
   * was announced, so nothing published in between is slept over.
   */
  sleep(ms: number, isIdle: boolean, hasNews: () => boolean): void {
    if (!isIdle) {
      Atomics.wait(this.#words, WAKE, Atomics.load(this.#words, WAKE), ms)
      return
    }
    const seen = Atomics.load(this.#words, WAKE)
    Atomics.store(this.#words, SLEEPING, 1)
    if (!hasNews() && !this.isClosing) Atomics.wait(this.#words, WAKE, seen, ms)
    Atomics.store(this.#words, SLEEPING, 0)
  }

  close(): void {
    Atomics.store(this.#words, CLOSING, 1)
    Atomics.add(this.#words, WAKE, 1)
    Atomics.notify(this.#words, WAKE)
  }

  get isClosing(): boolean {
    return Atomics.load(this.#words, CLOSING) === 1
  }

  /** From now on no record is accepted by anybody; there is no way back within this process. */
  fail(): void {
    Atomics.store(this.#words, FATAL, 1)
  }

  get hasFailed(): boolean {
    return Atomics.load(this.#words, FATAL) === 1
  }
}
