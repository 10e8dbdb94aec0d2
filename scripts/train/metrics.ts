/**
 * How good a model is on rows it never saw. All from chances and true labels, all deterministic.
 * Log loss is in nats; chances are kept 1e-7 away from 0 and 1 so that one sure mistake stays finite.
 */
export interface BinaryMetrics {
  readonly accuracy: number
  /** Chance that a random positive scores above a random negative; ties count half. */
  readonly auc: number
  readonly logLoss: number
  /** Of the rows labelled 1, the share that were; and of those that were, the share labelled 1. */
  readonly precision: number
  readonly recall: number
}

export interface ClassMetrics {
  readonly accuracy: number
  readonly logLoss: number
}

const CHANCE_MIN = 1e-7

const loss = (chance: number): number => -Math.log(Math.min(1 - CHANCE_MIN, Math.max(CHANCE_MIN, chance)))

export function binaryMetrics(
  chances: ArrayLike<number>,
  said: ArrayLike<number>,
  truth: ArrayLike<number>,
): BinaryMetrics {
  const counts = { right: 0, saidYes: 0, wereYes: 0, bothYes: 0 }
  let logLoss = 0
  for (let row = 0; row < truth.length; row += 1) {
    const isYes = truth[row] === 1
    const saysYes = said[row] === 1
    counts.right += isYes === saysYes ? 1 : 0
    counts.saidYes += saysYes ? 1 : 0
    counts.wereYes += isYes ? 1 : 0
    counts.bothYes += isYes && saysYes ? 1 : 0
    logLoss += loss(isYes ? chances[row]! : 1 - chances[row]!)
  }
  return {
    accuracy: counts.right / truth.length,
    auc: areaUnderCurve(chances, truth),
    logLoss: logLoss / truth.length,
    precision: counts.bothYes / counts.saidYes,
    recall: counts.bothYes / counts.wereYes,
  }
}

/** Mann–Whitney U over its maximum, with mean ranks for ties. */
export function areaUnderCurve(chances: ArrayLike<number>, truth: ArrayLike<number>): number {
  const order = Array.from({ length: truth.length }, (_, row) => row)
  order.sort((a, b) => chances[a]! - chances[b]!)
  let positives = 0
  let rankSum = 0
  for (let start = 0; start < order.length; ) {
    let end = start
    let tiedPositives = 0
    while (end < order.length && chances[order[end]!] === chances[order[start]!]) {
      tiedPositives += truth[order[end]!] === 1 ? 1 : 0
      end += 1
    }
    positives += tiedPositives
    rankSum += (tiedPositives * (start + 1 + end)) / 2
    start = end
  }
  const negatives = truth.length - positives
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives)
}

/** `scores`: row-major, one chance for each class. */
export function classMetrics(
  scores: ArrayLike<number>,
  said: ArrayLike<number>,
  truth: ArrayLike<number>,
): ClassMetrics {
  const classes = scores.length / truth.length
  let right = 0
  let logLoss = 0
  for (let row = 0; row < truth.length; row += 1) {
    right += said[row] === truth[row] ? 1 : 0
    logLoss += loss(scores[row * classes + truth[row]!]!)
  }
  return { accuracy: right / truth.length, logLoss: logLoss / truth.length }
}
