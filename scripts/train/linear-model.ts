/**
 * Logistic and softmax regression by mini-batch gradient descent with momentum and an L2 penalty.
 * Features are standardised while training; the returned weights are folded back, so they apply to raw
 * features and the written model is one matrix product.
 */
import { type Samples, scoresFor, targetOf, toProbabilities } from './samples.ts'
import { rowNumbers, SeededChance, shuffle } from './seeded-chance.ts'

export interface LinearModel {
  readonly columns: number
  readonly scores: number
  /** Row-major, `columns × scores`, for raw features. */
  readonly weights: Float32Array
  readonly bias: Float32Array
}

export interface LinearOptions {
  readonly classes: number
  readonly epochs: number
  readonly batchRows: number
  /** Of the first epoch; it falls in a straight line to a tenth of that in the last. */
  readonly learningRate: number
  readonly l2: number
  readonly seed: number
}

const MOMENTUM = 0.9

export function trainLinearModel(samples: Samples, options: LinearOptions): LinearModel {
  const { rows, columns } = samples
  const scaling = scalingOf(samples)
  const descent = new Descent(samples, scaling, options)
  const order = rowNumbers(rows)
  const chance = new SeededChance(options.seed)
  for (let epoch = 0; epoch < options.epochs; epoch += 1) {
    shuffle(order, chance)
    const rate = options.learningRate * (1 - (0.9 * epoch) / Math.max(1, options.epochs - 1))
    for (let start = 0; start < rows; start += options.batchRows) {
      descent.step(order.subarray(start, Math.min(rows, start + options.batchRows)), rate)
    }
  }
  return foldBack(descent, scaling, columns)
}

interface Scaling {
  readonly mean: Float64Array
  /** 1 / standard deviation; 0 for a column that never varies, which thereby gets no weight. */
  readonly inverse: Float64Array
}

function scalingOf({ rows, columns, features }: Samples): Scaling {
  const mean = new Float64Array(columns)
  const inverse = new Float64Array(columns)
  for (let index = 0; index < features.length; index += 1) mean[index % columns]! += features[index]! / rows
  for (let index = 0; index < features.length; index += 1) {
    inverse[index % columns]! += (features[index]! - mean[index % columns]!) ** 2 / rows
  }
  for (let column = 0; column < columns; column += 1) {
    inverse[column] = inverse[column]! > 0 ? 1 / Math.sqrt(inverse[column]!) : 0
  }
  return { mean, inverse }
}

/** Weights under way: the last row of `weights` is the bias. */
class Descent {
  readonly scores: number
  readonly weights: Float64Array
  readonly #velocity: Float64Array
  readonly #gradient: Float64Array
  readonly #standardised: Float64Array
  readonly #samples: Samples
  readonly #l2: number

  constructor(samples: Samples, { mean, inverse }: Scaling, options: LinearOptions) {
    const { columns, features } = samples
    this.scores = scoresFor(options.classes)
    this.weights = new Float64Array((columns + 1) * this.scores)
    this.#velocity = new Float64Array(this.weights.length)
    this.#gradient = new Float64Array(this.weights.length)
    this.#samples = samples
    this.#l2 = options.l2
    this.#standardised = Float64Array.from(features, (value, index) => {
      return (value - mean[index % columns]!) * inverse[index % columns]!
    })
  }

  step(batch: Uint32Array, rate: number): void {
    const { weights } = this
    const gradient = this.#gradient.fill(0)
    for (const row of batch) this.#accumulate(row, gradient)
    const biasStart = weights.length - this.scores
    for (let index = 0; index < weights.length; index += 1) {
      const penalty = index < biasStart ? this.#l2 * weights[index]! : 0
      const slope = gradient[index]! / batch.length + penalty
      this.#velocity[index] = MOMENTUM * this.#velocity[index]! - rate * slope
      weights[index]! += this.#velocity[index]!
    }
  }

  #accumulate(row: number, gradient: Float64Array): void {
    const { columns, labels } = this.#samples
    const { scores, weights } = this
    const inputs = this.#standardised.subarray(row * columns, (row + 1) * columns)
    const chances = weights.slice(columns * scores)
    for (let column = 0; column < columns; column += 1) {
      const input = inputs[column]!
      for (let score = 0; score < scores; score += 1) {
        chances[score]! += input * weights[column * scores + score]!
      }
    }
    toProbabilities(chances)
    for (let score = 0; score < scores; score += 1) {
      const error = chances[score]! - targetOf(labels[row]!, score, scores)
      for (let column = 0; column < columns; column += 1) {
        gradient[column * scores + score]! += error * inputs[column]!
      }
      gradient[columns * scores + score]! += error
    }
  }
}

function foldBack(descent: Descent, { mean, inverse }: Scaling, columns: number): LinearModel {
  const { scores, weights: trained } = descent
  const weights = new Float32Array(columns * scores)
  const bias = trained.slice(columns * scores)
  for (let index = 0; index < weights.length; index += 1) {
    const column = Math.floor(index / scores)
    const folded = trained[index]! * inverse[column]!
    weights[index] = folded
    bias[index % scores]! -= folded * mean[column]!
  }
  return { columns, scores, weights, bias: Float32Array.from(bias) }
}
