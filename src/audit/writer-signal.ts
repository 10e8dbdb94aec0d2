/**
 * How lanes wake the writer thread, and what it tells them of the log as a whole: that it takes no records at present, that
 * it is lost. The writer sleeps on a word in shared memory; a lane pays for waking it only when it sleeps so that
 * this lane should.
 */
const WAKE = 0
const SLEEP = 1
const FATAL = 2
const CLOSING = 3
const STALLED = 4
export const SIGNAL_BYTES = 32

/** What ends a sleep before its time: any record; only one whose caller waits for the disk; nothing. */
export const SLEEPS = { nothing: 0, urgent: 1, any: 2 } as const
export type EndsWith = keyof typeof SLEEPS

export class WriterSignal {
  readonly #words: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory)
  }

  /** After something was published. `isUrgent`: a caller waits for it to be on the disk. */
  wake(isUrgent = false): void {
    const sleep = Atomics.load(this.#words, SLEEP)
    if (sleep === SLEEPS.nothing || (sleep === SLEEPS.urgent && !isUrgent)) return
    Atomics.add(this.#words, WAKE, 1)
    Atomics.notify(this.#words, WAKE)
  }

  /**
   * Blocks the writer thread up to `ms`. `hasCome` is asked once more after it was announced what may end the sleep,
   * so nothing published in between is slept over.
   */
  sleep(ms: number, endsWith: EndsWith, hasCome: () => boolean): void {
    const seen = Atomics.load(this.#words, WAKE)
    Atomics.store(this.#words, SLEEP, SLEEPS[endsWith])
    const isAwaited = endsWith === 'nothing' || !hasCome()
    if (isAwaited && !this.isClosing) Atomics.wait(this.#words, WAKE, seen, ms)
    Atomics.store(this.#words, SLEEP, SLEEPS.nothing)
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

  /** Segments cannot be written at present: nothing can be made durable. */
  set isStalled(isStalled: boolean) {
    Atomics.store(this.#words, STALLED, isStalled ? 1 : 0)
  }

  get isStalled(): boolean {
    return Atomics.load(this.#words, STALLED) === 1
  }
}
