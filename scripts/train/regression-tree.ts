/**
 * One tree of a boosted ensemble, grown from gradients and curvatures (second-order boosting, Chen and
 * Guestrin 2016, arXiv 1603.02754 §2.2): a leaf weighs −G/(H+λ), a split gains
 * ½·(GL²/(HL+λ) + GR²/(HR+λ) − G²/(H+λ)) and is made only where both sides keep enough curvature.
 */
import { BINS_MAX, type FeatureBins } from './feature-bins.ts'

/** Nodes in the order grown, the root first; a leaf has `feature` −1. */
export interface TreeNode {
  feature: number
  /** Rows whose value is at or below go left. */
  threshold: number
  left: number
  right: number
  /** What a leaf adds to the score; 0 for a branch. */
  weight: number
}

export interface TreeOptions {
  readonly depthMax: number
  readonly l2: number
  /** Least sum of curvatures a leaf may stand on. */
  readonly curvatureMin: number
  /** Scales every leaf: how far one tree moves the ensemble. */
  readonly learningRate: number
}

export interface Slopes {
  readonly gradient: Float64Array
  readonly curvature: Float64Array
}

interface Split {
  readonly feature: number
  readonly bin: number
  readonly gain: number
}

const GAIN_MIN = 1e-6

/** `rows` and `features`: the ones this tree may look at. */
export function growTree(
  bins: readonly FeatureBins[],
  slopes: Slopes,
  drawn: { readonly rows: Uint32Array; readonly features: readonly number[] },
  options: TreeOptions,
): TreeNode[] {
  const nodes: TreeNode[] = []
  const grow = (rows: Uint32Array, depth: number): number => {
    const index = nodes.length
    const node: TreeNode = { feature: -1, threshold: 0, left: -1, right: -1, weight: 0 }
    nodes.push(node)
    const totals = sumOf(slopes, rows)
    const split = depth < options.depthMax ? bestSplit(bins, slopes, { ...drawn, rows }, options) : null
    if (split === null) {
      node.weight = Math.fround((-options.learningRate * totals.gradient) / (totals.curvature + options.l2))
      return index
    }
    const { edges, ofRow } = bins[split.feature]!
    node.feature = split.feature
    node.threshold = edges[split.bin]!
    node.left = grow(
      rows.filter((row) => ofRow[row]! <= split.bin),
      depth + 1,
    )
    node.right = grow(
      rows.filter((row) => ofRow[row]! > split.bin),
      depth + 1,
    )
    return index
  }
  grow(drawn.rows, 0)
  return nodes
}

function sumOf({ gradient, curvature }: Slopes, rows: Uint32Array): { gradient: number; curvature: number } {
  const sum = { gradient: 0, curvature: 0 }
  for (const row of rows) {
    sum.gradient += gradient[row]!
    sum.curvature += curvature[row]!
  }
  return sum
}

function bestSplit(
  bins: readonly FeatureBins[],
  slopes: Slopes,
  drawn: { readonly rows: Uint32Array; readonly features: readonly number[] },
  options: TreeOptions,
): Split | null {
  const totals = sumOf(slopes, drawn.rows)
  if (totals.curvature < 2 * options.curvatureMin) return null
  const byBin = { gradient: new Float64Array(BINS_MAX), curvature: new Float64Array(BINS_MAX) }
  let best: Split | null = null
  for (const feature of drawn.features) {
    const { edges, ofRow } = bins[feature]!
    byBin.gradient.fill(0)
    byBin.curvature.fill(0)
    for (const row of drawn.rows) {
      const bin = ofRow[row]!
      byBin.gradient[bin]! += slopes.gradient[row]!
      byBin.curvature[bin]! += slopes.curvature[row]!
    }
    const found = bestBin(byBin, edges.length, totals, options)
    if (found.gain > (best?.gain ?? GAIN_MIN)) best = { feature, ...found }
  }
  return best
}

function bestBin(
  byBin: Slopes,
  edgeCount: number,
  totals: { readonly gradient: number; readonly curvature: number },
  { l2, curvatureMin }: TreeOptions,
): { bin: number; gain: number } {
  const best = { bin: -1, gain: 0 }
  const unsplit = totals.gradient ** 2 / (totals.curvature + l2)
  let gradient = 0
  let curvature = 0
  for (let bin = 0; bin < edgeCount; bin += 1) {
    gradient += byBin.gradient[bin]!
    curvature += byBin.curvature[bin]!
    const other = totals.curvature - curvature
    if (curvature < curvatureMin || other < curvatureMin) continue
    const right = (totals.gradient - gradient) ** 2 / (other + l2)
    const gain = (gradient ** 2 / (curvature + l2) + right - unsplit) / 2
    if (gain > best.gain) {
      best.bin = bin
      best.gain = gain
    }
  }
  return best
}

/** The leaf a training row falls to, by its bins. */
export function weightOf(nodes: readonly TreeNode[], bins: readonly FeatureBins[], row: number): number {
  let node = nodes[0]!
  while (node.feature !== -1) {
    const { edges, ofRow } = bins[node.feature]!
    const bin = ofRow[row]!
    const goesLeft = bin < edges.length && edges[bin]! <= node.threshold
    node = nodes[goesLeft ? node.left : node.right]!
  }
  return node.weight
}
