/**
 * What every trainer takes: rows of features and the class of each row. Features are 32-bit floats,
 * as the served models will see them, so that training and serving cut at exactly the same values.
 */
export interface Samples {
  readonly rows: number
  readonly columns: number
  /** Row-major, `rows × columns`. */
  readonly features: Float32Array
  /** 0 … classes − 1. */
  readonly labels: Uint8Array
}

/** The rows from `start` to before `end`, sharing memory with the whole. */
export function sliceOf(samples: Samples, start: number, end: number): Samples {
  const { columns, features, labels } = samples
  return {
    rows: end - start,
    columns,
    features: features.subarray(start * columns, end * columns),
    labels: labels.subarray(start, end),
  }
}

/** Chances in [0, 1] from raw scores, in place: one score is a logit, more are a softmax. */
export function toProbabilities(scores: Float64Array): void {
  if (scores.length === 1) {
    scores[0] = 1 / (1 + Math.exp(-scores[0]!))
    return
  }
  let highest = Number.NEGATIVE_INFINITY
  for (const score of scores) highest = Math.max(highest, score)
  let sum = 0
  for (let index = 0; index < scores.length; index += 1) {
    const raised = Math.exp(scores[index]! - highest)
    scores[index] = raised
    sum += raised
  }
  for (let index = 0; index < scores.length; index += 1) scores[index] = scores[index]! / sum
}

/** One raw score decides between two classes; more score one class each. */
export function scoresFor(classes: number): number {
  return classes === 2 ? 1 : classes
}

/** What score number `score` of a row should have been: 1 for its class, else 0. */
export function targetOf(label: number, score: number, scores: number): number {
  if (scores === 1) return label
  return label === score ? 1 : 0
}
