/**
 * The two kinds of trained models as ONNX. Both kinds of one family have the same input and outputs, so
 * a gateway can put any version in the place of any other:
 *
 *   two classes    features [batch, n] → probability [batch, 1] of class 1, label [batch] (0 or 1)
 *   more classes   features [batch, n] → label [batch], scores [batch, classes] that sum to 1
 *
 * Only tensors come out (no maps, "ZipMap"): that is all the open-inference protocol can carry.
 */
import type { BoostedTrees } from '../boosted-trees.ts'
import type { LinearModel } from '../linear-model.ts'
import {
  type AttributeValue,
  floatConstant,
  type GraphParts,
  intConstant,
  ML_DOMAIN,
  node,
  writeGraph,
} from './graph.ts'
import { FLOAT, INT64 } from './schema.ts'

export interface ModelNaming {
  readonly name: string
  readonly doc: string
  readonly input: string
  /** For two classes: the probability from which on the label is 1. */
  readonly threshold: number
  readonly properties: Readonly<Record<string, string>>
}

type Wiring = Pick<GraphParts, 'nodes' | 'constants'>

export function writeLinearModel(model: LinearModel, naming: ModelNaming): Uint8Array {
  const { columns, scores, weights, bias } = model
  const product = node('Gemm', { from: [naming.input, 'weights', 'bias'], to: ['raw'] })
  const wiring: Wiring = {
    nodes: [product, ...(scores === 1 ? [] : softmaxNodes())],
    constants: [floatConstant('weights', [columns, scores], weights), floatConstant('bias', [scores], bias)],
  }
  return write(wiring, naming, { columns, scores })
}

export function writeBoostedTrees(model: BoostedTrees, naming: ModelNaming): Uint8Array {
  const { columns, scores } = model
  const from = [naming.input]
  const attributes = treeAttributes(model)
  const ensemble =
    scores === 1
      ? node('TreeEnsembleRegressor', { from, to: ['raw'] }, attributes, ML_DOMAIN)
      : node('TreeEnsembleClassifier', { from, to: ['label', 'scores'] }, attributes, ML_DOMAIN)
  return write({ nodes: [ensemble], constants: [] }, naming, { columns, scores })
}

function softmaxNodes(): object[] {
  return [
    node('Softmax', { from: ['raw'], to: ['scores'] }, { axis: { int: 1 } }),
    node('ArgMax', { from: ['scores'], to: ['label'] }, { axis: { int: 1 }, keepdims: { int: 0 } }),
  ]
}

function write(
  wiring: Wiring,
  naming: ModelNaming,
  { columns, scores }: { readonly columns: number; readonly scores: number },
): Uint8Array {
  const parts = scores === 1 ? withDecision(wiring, naming.threshold) : wiring
  const label = { name: 'label', type: INT64, width: 0 } as const
  const outputs =
    scores === 1
      ? [{ name: 'probability', type: FLOAT, width: 1 } as const, label]
      : [label, { name: 'scores', type: FLOAT, width: scores } as const]
  return writeGraph({
    ...parts,
    outputs,
    inputs: [{ name: naming.input, type: FLOAT, width: columns }],
    name: naming.name,
    doc: naming.doc,
    properties: naming.properties,
  })
}

/** From a logit [batch, 1] to its probability and, by the threshold, a label [batch]. */
function withDecision({ nodes, constants }: Wiring, threshold: number): Wiring {
  return {
    nodes: [
      ...nodes,
      node('Sigmoid', { from: ['raw'], to: ['probability'] }),
      node('GreaterOrEqual', { from: ['probability', 'threshold'], to: ['reached'] }),
      node('Cast', { from: ['reached'], to: ['reached_int'] }, { to: { int: INT64 } }),
      node('Squeeze', { from: ['reached_int', 'second_axis'], to: ['label'] }),
    ],
    constants: [
      ...constants,
      floatConstant('threshold', [], [threshold]),
      intConstant('second_axis', [1], [1]),
    ],
  }
}

/** An ensemble as the parallel lists that ai.onnx.ml asks for: one entry a node, one a leaf. */
function treeAttributes({ scores, base, trees }: BoostedTrees): Record<string, AttributeValue> {
  const nodes = trees.flatMap(({ nodes }, tree) => nodes.map((entry, id) => ({ ...entry, tree, id })))
  const leaves = trees.flatMap(({ nodes, score }, tree) =>
    nodes.flatMap(({ feature, weight }, id) => (feature === -1 ? [{ tree, id, score, weight }] : [])),
  )
  const isLeaf = (feature: number) => feature === -1
  const kind = scores === 1 ? 'target' : 'class'
  return {
    nodes_treeids: { ints: nodes.map(({ tree }) => tree) },
    nodes_nodeids: { ints: nodes.map(({ id }) => id) },
    nodes_featureids: { ints: nodes.map(({ feature }) => Math.max(0, feature)) },
    nodes_modes: { strings: nodes.map(({ feature }) => (isLeaf(feature) ? 'LEAF' : 'BRANCH_LEQ')) },
    nodes_values: { floats: nodes.map(({ threshold }) => threshold) },
    nodes_truenodeids: { ints: nodes.map(({ left }) => Math.max(0, left)) },
    nodes_falsenodeids: { ints: nodes.map(({ right }) => Math.max(0, right)) },
    [`${kind}_treeids`]: { ints: leaves.map(({ tree }) => tree) },
    [`${kind}_nodeids`]: { ints: leaves.map(({ id }) => id) },
    [`${kind}_ids`]: { ints: leaves.map(({ score }) => score) },
    [`${kind}_weights`]: { floats: leaves.map(({ weight }) => weight) },
    base_values: { floats: [...base] },
    ...(scores === 1
      ? { n_targets: { int: 1 } }
      : {
          classlabels_int64s: { ints: Array.from({ length: scores }, (_, label) => label) },
          post_transform: { string: 'SOFTMAX' },
        }),
  }
}
