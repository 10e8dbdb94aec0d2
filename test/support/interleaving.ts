/**
 * Runs what several threads would do at once, on one, with every access to shared words as a place where another may
 * go on. An operation is plain synchronous code: it is stopped by throwing out of it at its next access, and carried on
 * by running it again from its beginning with what it has read so far. So it must depend on nothing else.
 */
import type { SharedWords } from '../../src/kernel/atomic-words.ts'

const STOPPED = Symbol('stopped')

type Access = (words: Int32Array) => number

/** The words that operations are given: those of the operation that is running now. */
export class StoppableWords implements SharedWords {
  readonly memory: Int32Array
  #told: number[] = []
  #at = 0
  #next: Access | undefined

  constructor(memory: SharedArrayBuffer) {
    this.memory = new Int32Array(memory)
  }

  load(at: number): number {
    return this.#access((words) => words[at]!)
  }

  store(at: number, value: number): void {
    this.#access((words) => {
      words[at] = value
      return 0
    })
  }

  swap(at: number, expected: number, next: number): boolean {
    const is = this.#access((words) => {
      if (words[at] !== expected) return 0
      words[at] = next
      return 1
    })
    return is === 1
  }

  /** Runs on from what was told to the next access that was not; undefined when it came to its end before. */
  resume(operation: () => void, told: number[]): Access | undefined {
    this.#told = told
    this.#at = 0
    this.#next = undefined
    try {
      operation()
      return undefined
    } catch (thrown) {
      if (thrown !== STOPPED) throw thrown
      return this.#next
    }
  }

  #access(access: Access): number {
    if (this.#at < this.#told.length) {
      this.#at += 1
      return this.#told[this.#at - 1]!
    }
    this.#next = access
    throw STOPPED
  }
}

/** One operation under way. */
export class Step {
  readonly #words: StoppableWords
  readonly #operation: () => void
  readonly #told: number[] = []
  #next: Access | undefined
  isOver = false

  constructor(words: StoppableWords, operation: () => void) {
    this.#words = words
    this.#operation = operation
    this.#goOn()
  }

  /** Makes its next access. */
  advance(): void {
    this.#told.push(this.#next!(this.#words.memory))
    this.#goOn()
  }

  #goOn(): void {
    this.#next = this.#words.resume(this.#operation, this.#told)
    this.isOver = this.#next === undefined
  }
}
