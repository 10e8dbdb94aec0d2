/**
 * Real rows with known true answers, as requests: what the demo sends, and what it makes of an answer.
 * A set knows its model and its tensors; nobody else in the demo does.
 */

/** One request, ready to be sent. */
export interface Question {
  readonly model: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** What a version said about a row. */
export interface Prediction {
  readonly label: number
  /** The chance it gave to what was true, in [0, 1]; what log loss is made of. */
  readonly chanceOfTruth: number
}

/** Data of the answer's tensors by name. */
export type Outputs = ReadonlyMap<string, readonly number[]>

export interface ReplaySet {
  readonly model: string
  /** `flights`, `digits`: what one row is, for people. */
  readonly noun: string
  readonly rows: number
  question(row: number): Question
  /** The true label. */
  truth(row: number): number
  /** Null when the answer lacks what was asked for. */
  read(outputs: Outputs, row: number): Prediction | null
}

/** A row of one of the sets. */
export interface Cue {
  readonly set: ReplaySet
  readonly row: number
}

/**
 * The set and row of the n-th request, n from 0: rows in their order, sets mixed evenly in proportion to
 * their sizes, so that after as many requests as there are rows every row was sent exactly once. Begins
 * again behind the last.
 */
export function cueSheet(sets: readonly ReplaySet[]): (index: number) => Cue {
  const cues = sets
    .flatMap((set) =>
      Array.from({ length: set.rows }, (_, row) => ({ set, row, at: (row + 0.5) / set.rows })),
    )
    .sort((a, b) => a.at - b.at)
  if (cues.length === 0) throw new RangeError('there is no row to replay')
  return (index) => cues[index % cues.length]!
}

/** The body of an inference request with one tensor of one row. */
export function oneRow(name: string, values: ArrayLike<number>): Buffer {
  const data = Array.from(values)
  return Buffer.from(JSON.stringify({ inputs: [{ name, datatype: 'FP32', shape: [1, data.length], data }] }))
}
