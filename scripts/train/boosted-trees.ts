/**
 * Gradient-boosted trees for two classes (one logit) or more (one score a class, softmax). Every round
 * adds one tree for each score, grown on a fresh draw of rows and features.
 */
import { binFeatures, type FeatureBins } from './feature-bins.ts'
import { growTree, type Slopes, type TreeNode, type TreeOptions, weightOf } from './regression-tree.ts'
import { type Samples, scoresFor, targetOf, toProbabilities } from './samples.ts'
import { rowNumbers, SeededChance, shuffle } from './seeded-chance.ts'

export interface BoostedTrees {
  readonly columns: number
  readonly scores: number
  /** What each score is before any tree: the log odds, or log share, of its class. */
  readonly base: Float32Array
  readonly trees: readonly { readonly score: number; readonly nodes: readonly TreeNode[] }[]
}

export interface BoostingOptions extends TreeOptions {
  readonly classes: number
  readonly rounds: number
  /** Shares in (0, 1] of rows and of features drawn for each tree. */
  readonly rowShare: number
  readonly featureShare: number
  readonly seed: number
}

export function trainBoostedTrees(samples: Samples, options: BoostingOptions): BoostedTrees {
  const scores = scoresFor(options.classes)
  const bins = binFeatures(samples)
  const base = baseOf(samples, scores)
  const chance = new SeededChance(options.seed)
  const current = Float64Array.from({ length: samples.rows * scores }, (_, index) => base[index % scores]!)
  const trees: { score: number; nodes: TreeNode[] }[] = []
  for (let round = 0; round < options.rounds; round += 1) {
    const slopes = slopesOf(samples.labels, current, scores)
    for (let score = 0; score < scores; score += 1) {
      const drawn = {
        rows: draw(samples.rows, options.rowShare, chance),
        features: [...draw(samples.columns, options.featureShare, chance)],
      }
      const nodes = growTree(bins, slopes[score]!, drawn, options)
      trees.push({ score, nodes })
      add(current, { score, scores }, nodes, bins)
    }
  }
  return { columns: samples.columns, scores, base, trees }
}

function baseOf({ rows, labels }: Samples, scores: number): Float32Array {
  const counts = new Float64Array(Math.max(2, scores)).fill(1)
  for (const label of labels) counts[label]! += 1
  if (scores === 1) return Float32Array.of(Math.log(counts[1]! / counts[0]!))
  return Float32Array.from(counts, (count) => Math.log(count / rows))
}

function slopesOf(labels: Uint8Array, current: Float64Array, scores: number): Slopes[] {
  const rows = labels.length
  const slopes = Array.from({ length: scores }, () => ({
    gradient: new Float64Array(rows),
    curvature: new Float64Array(rows),
  }))
  for (let row = 0; row < rows; row += 1) {
    const chances = current.slice(row * scores, (row + 1) * scores)
    toProbabilities(chances)
    for (let score = 0; score < scores; score += 1) {
      const chance = chances[score]!
      slopes[score]!.gradient[row] = chance - targetOf(labels[row]!, score, scores)
      slopes[score]!.curvature[row] = chance * (1 - chance)
    }
  }
  return slopes
}

/** `share` of 0 … count − 1 without repeats, ascending; at least one. */
function draw(count: number, share: number, chance: SeededChance): Uint32Array {
  const numbers = rowNumbers(count)
  if (share >= 1) return numbers
  shuffle(numbers, chance)
  return numbers.subarray(0, Math.max(1, Math.round(count * share))).sort()
}

function add(
  current: Float64Array,
  at: { readonly score: number; readonly scores: number },
  nodes: readonly TreeNode[],
  bins: readonly FeatureBins[],
): void {
  const rows = current.length / at.scores
  for (let row = 0; row < rows; row += 1) {
    current[row * at.scores + at.score]! += weightOf(nodes, bins, row)
  }
}
