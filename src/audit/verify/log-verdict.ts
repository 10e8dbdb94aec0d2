/** What checking a log came to: whether it is what was written (integrity), and whether anything is missing (completeness). */
import type { Completeness } from './completeness.ts'
import type { WitnessVerdict } from './witness.ts'

export interface BadPlace {
  /** Relative to the log's directory. */
  readonly file: string
  readonly at: number
  /** Of the record expected there; null where it is about the whole log. */
  readonly sequence: number | null
  readonly problem: string
}

export interface LogVerdict {
  /** Nothing contradicts the tree, the checkpoint and its signature. */
  readonly isWhole: boolean
  /** In the order of the log. */
  readonly firstBad: BadPlace | null
  readonly badPlaces: number
  /** The first of them, at most PROBLEMS_KEPT. */
  readonly problems: readonly BadPlace[]
  /** Null when it cannot be read. */
  readonly origin: string | null
  readonly checkpoint: CheckpointTold | null
  /** Records behind the checkpoint: nobody signed for them yet. */
  readonly unsigned: number
  readonly segments: number
  readonly records: number
  /** By type name; `type-n` for those of later versions. */
  readonly types: ReadonlyMap<string, number>
  readonly bytes: number
  /** 0 when there are no records. */
  readonly first: number
  readonly last: number
  /** Bytes at the very end that are no whole record (yet). */
  readonly tailBytes: number
  readonly completeness: Completeness
  /** Null when none was given. */
  readonly witness: WitnessVerdict | null
}

export interface CheckpointTold {
  readonly size: number
  /** Base64. */
  readonly root: string
  /** Verifier keys; empty when none that is trusted signed it. */
  readonly signedBy: readonly string[]
  /** The key was given by who asks, not found beside the log. */
  readonly isPinned: boolean
}

export const PROBLEMS_KEPT = 20

/** Gathers bad places; the first one of the log is the one told. */
export class BadPlaces {
  readonly #kept: BadPlace[] = []
  #count = 0

  get count(): number {
    return this.#count
  }

  add(place: BadPlace): void {
    this.#count += 1
    if (this.#kept.length < PROBLEMS_KEPT) this.#kept.push(place)
  }

  /** What is no matter of one record. */
  about(file: string, problem: string): void {
    this.add({ file, at: 0, sequence: null, problem })
  }

  /** In the order of the log; what is about all of it comes last. */
  list(): BadPlace[] {
    return this.#kept.sort((a, b) => (a.sequence ?? Infinity) - (b.sequence ?? Infinity))
  }
}
