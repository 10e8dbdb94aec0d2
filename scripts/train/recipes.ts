/**
 * How each version is trained. The settings were picked from a handful tried on the last fifth of the
 * training rows, never on the held-out ones; seeds are fixed, so the same rows give the same bytes.
 */
import { type BoostedTrees, type BoostingOptions, trainBoostedTrees } from './boosted-trees.ts'
import { DIGIT_CLASSES } from './digits-data.ts'
import { type LinearModel, type LinearOptions, trainLinearModel } from './linear-model.ts'
import { writeBoostedTrees, writeLinearModel } from './onnx/models.ts'
import type { Samples } from './samples.ts'

/**
 * From which probability on a flight is labelled late. A warning that proves needless costs less than a
 * delay nobody was warned of; 0.3 means: up to 2.3 needless warnings for each one that helps.
 */
export const LATE_THRESHOLD = 0.3

export interface TrainedVersion {
  readonly family: 'flights' | 'digits'
  readonly version: string
  /** In words, for people. */
  readonly kind: string
  /** What scoring one row takes, in words. */
  readonly work: string
  readonly bytes: Uint8Array
}

const LINEAR = { batchRows: 64, learningRate: 0.02, l2: 1e-4, epochs: 20, seed: 1 }

const FLIGHT_FOREST: BoostingOptions = {
  classes: 2,
  rounds: 120,
  depthMax: 4,
  learningRate: 0.04,
  l2: 10,
  curvatureMin: 15,
  rowShare: 0.5,
  featureShare: 0.6,
  seed: 2,
}

/** The candidate: smaller steps, more and deeper trees. */
const FLIGHT_FOREST_2: BoostingOptions = {
  ...FLIGHT_FOREST,
  rounds: 220,
  depthMax: 6,
  learningRate: 0.03,
  l2: 20,
  curvatureMin: 12,
  seed: 3,
}

const DIGIT_FOREST: BoostingOptions = {
  classes: DIGIT_CLASSES,
  rounds: 40,
  depthMax: 4,
  learningRate: 0.3,
  l2: 1,
  curvatureMin: 1,
  rowShare: 0.7,
  featureShare: 0.2,
  seed: 4,
}

/** `effort` in (0, 1]: share of the epochs and rounds; below 1 only for tests that must be quick. */
export function trainFlights(samples: Samples, effort = 1): readonly TrainedVersion[] {
  const naming = {
    name: 'flights',
    doc: 'Probability that a US flight arrives more than 15 minutes late, asked as it leaves the gate.',
    input: 'features',
    threshold: LATE_THRESHOLD,
    properties: { data: 'US Bureau of Transportation Statistics, January to March 2001' },
  }
  const linear = trainLinearModel(samples, ease({ ...LINEAR, classes: 2 }, effort))
  const forests = [FLIGHT_FOREST, FLIGHT_FOREST_2].map((options) => grow(samples, options, effort))
  return [
    {
      family: 'flights',
      version: 'linear',
      kind: 'logistic regression',
      work: linearWork(linear),
      bytes: writeLinearModel(linear, naming),
    },
    ...forests.map((forest, index) => ({
      family: 'flights' as const,
      version: index === 0 ? 'forest' : 'forest-2',
      kind: 'gradient-boosted trees',
      work: forestWork(forest),
      bytes: writeBoostedTrees(forest, naming),
    })),
  ]
}

export function trainDigits(samples: Samples, effort = 1): readonly TrainedVersion[] {
  const naming = {
    name: 'digits',
    doc: 'Which digit a 14 x 14 image of handwriting shows.',
    input: 'pixels',
    threshold: 0,
    properties: { data: '10,000 digits of the MNIST database' },
  }
  const softmax = trainLinearModel(
    samples,
    ease({ ...LINEAR, classes: DIGIT_CLASSES, batchRows: 32, learningRate: 0.01, l2: 1e-3 }, effort),
  )
  const forest = grow(samples, DIGIT_FOREST, effort)
  return [
    {
      family: 'digits',
      version: 'softmax',
      kind: 'softmax regression',
      work: linearWork(softmax),
      bytes: writeLinearModel(softmax, naming),
    },
    {
      family: 'digits',
      version: 'forest',
      kind: 'gradient-boosted trees',
      work: forestWork(forest),
      bytes: writeBoostedTrees(forest, naming),
    },
  ]
}

function ease(options: LinearOptions, effort: number): LinearOptions {
  return { ...options, epochs: Math.ceil(options.epochs * effort) }
}

function grow(samples: Samples, options: BoostingOptions, effort: number): BoostedTrees {
  return trainBoostedTrees(samples, { ...options, rounds: Math.ceil(options.rounds * effort) })
}

function linearWork({ weights }: LinearModel): string {
  return `${weights.length.toLocaleString('en')} multiplications`
}

function forestWork({ trees }: BoostedTrees): string {
  const nodes = trees.reduce((sum, tree) => sum + tree.nodes.length, 0)
  return `${trees.length} trees, ${nodes.toLocaleString('en')} nodes`
}
