/**
 * Building blocks of an ONNX graph: nodes, attributes, constants and the shapes of what goes in and
 * out. Every first dimension is named "batch", so that a server may join the rows of many requests.
 */
import { encodeModel, FLOAT, INT64 } from './schema.ts'

export const ML_DOMAIN = 'ai.onnx.ml'

/** Operators as of ONNX 1.13 (2022): old enough for every runtime in use. */
const IR_VERSION = 8
const OPSETS = [
  { domain: '', version: 17 },
  { domain: ML_DOMAIN, version: 3 },
]

/** AttributeProto.AttributeType. */
const KIND = { float: 1, int: 2, string: 3, floats: 6, ints: 7, strings: 8 }

export interface GraphValue {
  readonly name: string
  readonly type: typeof FLOAT | typeof INT64
  /** Size of a row; 0: the value is one number for each row, and has one dimension only. */
  readonly width: number
}

export interface GraphParts {
  readonly name: string
  readonly doc: string
  readonly inputs: readonly GraphValue[]
  readonly outputs: readonly GraphValue[]
  readonly nodes: readonly object[]
  readonly constants: readonly object[]
  readonly properties: Readonly<Record<string, string>>
}

export type AttributeValue =
  | { readonly float: number }
  | { readonly int: number }
  | { readonly string: string }
  | { readonly floats: readonly number[] }
  | { readonly ints: readonly number[] }
  | { readonly strings: readonly string[] }

export function writeGraph(parts: GraphParts): Uint8Array {
  return encodeModel({
    ir_version: IR_VERSION,
    producer_name: 'modelgate',
    model_version: 1,
    doc_string: parts.doc,
    opset_import: OPSETS,
    metadata_props: Object.entries(parts.properties).map(([key, value]) => ({ key, value })),
    graph: {
      name: parts.name,
      node: parts.nodes,
      initializer: parts.constants,
      input: parts.inputs.map(valueInfo),
      output: parts.outputs.map(valueInfo),
    },
  })
}

function valueInfo({ name, type, width }: GraphValue): object {
  const batch = { dim_param: 'batch' }
  const dim = width === 0 ? [batch] : [batch, { dim_value: width }]
  return { name, type: { tensor_type: { elem_type: type, shape: { dim } } } }
}

export function node(
  op: string,
  edges: { readonly from: readonly string[]; readonly to: readonly string[] },
  attributes: Readonly<Record<string, AttributeValue>> = {},
  domain = '',
): object {
  return {
    name: edges.to[0],
    op_type: op,
    domain,
    input: edges.from,
    output: edges.to,
    attribute: Object.entries(attributes).map(([name, value]) => ({ name, ...attribute(value) })),
  }
}

function attribute(value: AttributeValue): object {
  if ('float' in value) return { type: KIND.float, f: value.float }
  if ('int' in value) return { type: KIND.int, i: value.int }
  if ('string' in value) return { type: KIND.string, s: Buffer.from(value.string) }
  if ('floats' in value) return { type: KIND.floats, floats: value.floats }
  if ('ints' in value) return { type: KIND.ints, ints: value.ints }
  return { type: KIND.strings, strings: value.strings.map((text) => Buffer.from(text)) }
}

export function floatConstant(name: string, dims: readonly number[], values: ArrayLike<number>): object {
  const raw = Buffer.alloc(values.length * 4)
  for (let index = 0; index < values.length; index += 1) raw.writeFloatLE(values[index]!, index * 4)
  return { name, dims, data_type: FLOAT, raw_data: raw }
}

export function intConstant(name: string, dims: readonly number[], values: readonly number[]): object {
  const raw = Buffer.alloc(values.length * 8)
  for (const [index, value] of values.entries()) raw.writeBigInt64LE(BigInt(value), index * 8)
  return { name, dims, data_type: INT64, raw_data: raw }
}
