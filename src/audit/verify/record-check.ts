/** What is asked of the records themselves, one after the other: their places in the tree, their keys, and their number. */
import type { Frame } from '../frame.ts'
import { RECORD_TYPES, recordTypeOf } from '../records/record-type.ts'
import type { Checkpoint } from '../tree/checkpoint.ts'
import type { CompletenessCheck } from './completeness.ts'
import type { KeyChain } from './key-chain.ts'
import type { BadPlaces } from './log-verdict.ts'
import { fieldsOf } from './note-fields.ts'
import type { TreeCheck } from './tree-check.ts'

export interface RecordCheckParts {
  readonly checkpoint: Checkpoint | undefined
  readonly keys: KeyChain
  readonly completeness: CompletenessCheck
  /** Undefined where its beginning is not known: records are then only counted and told. */
  readonly tree: TreeCheck | undefined
  readonly bad: BadPlaces
  /** Sequence of the first one. */
  readonly first: number
}

export class RecordCheck {
  readonly #parts: RecordCheckParts
  /** By type’s number. */
  readonly #types = new Uint32Array(256)
  #tree: TreeCheck | undefined
  #expected: number
  #records = 0
  #isSettled = false

  constructor(parts: RecordCheckParts) {
    this.#parts = parts
    this.#tree = parts.tree
    this.#expected = parts.first
  }

  /** Sequence of the next record, if none is missing. */
  get expected(): number {
    return this.#expected
  }

  get records(): number {
    return this.#records
  }

  /** Undefined from where on it cannot be known. */
  get tree(): TreeCheck | undefined {
    return this.#tree
  }

  /** The checkpoint’s root was compared with that of the records. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  /** By type’s name; `type-n` for those of later versions. */
  get types(): ReadonlyMap<string, number> {
    const named = new Map<string, number>()
    for (const [type, count] of this.#types.entries())
      if (count > 0) named.set(recordTypeOf(type) ?? `type-${type}`, count)
    return named
  }

  /** The one that was expected. */
  take(frame: Frame, file: string): void {
    const { type, sequence, flags } = frame
    if (flags !== 0) this.#tell(frame, file, 'the record here has flags; in a segment none has')
    this.#tree?.append(frame, file)
    this.#expected = sequence + 1
    this.#records += 1
    this.#types[type]! += 1
    if (type === RECORD_TYPES.key) {
      const problem = this.#parts.keys.take(fieldsOf(frame.payload), sequence)
      if (problem !== undefined) this.#tell(frame, file, problem)
    } else if (sequence === 0) this.#tell(frame, file, 'a log begins with a key record')
    this.#parts.completeness.see(frame)
    if (this.#expected === this.#parts.checkpoint?.size) this.settle()
  }

  /** Those before `sequence` are missing, as far as they were expected. */
  skipTo(sequence: number): void {
    if (sequence > this.#expected && this.#tree?.fill(sequence) === false) this.#tree = undefined
    if (sequence < this.#expected) this.#tree = undefined
    this.#expected = sequence
  }

  /** Compares the root of as many records as the checkpoint covers, when there are so many; once. */
  settle(): void {
    const { checkpoint } = this.#parts
    if (this.#isSettled || checkpoint === undefined || this.#tree?.size !== checkpoint.size) return
    this.#isSettled = true
    this.#tree.settle(checkpoint.root)
  }

  #tell({ at, sequence }: Frame, file: string, problem: string): void {
    this.#parts.bad.add({ file, at, sequence, problem })
  }
}
