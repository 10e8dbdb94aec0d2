/**
 * Writes tiny ONNX models for tests, from a subset of the ONNX schema (onnx.proto, field numbers as
 * published). Enough for graphs of a few operators; IR version 8, operator set 17.
 */
import { createRequire } from 'node:module'
import type { Root } from 'protobufjs'

const protobuf = createRequire(import.meta.url)('protobufjs') as typeof import('protobufjs')

const SCHEMA = `syntax = "proto3";
message Attribute { string name = 1; float f = 2; int64 i = 3; bytes s = 4; TensorData t = 5;
  repeated float floats = 7; repeated int64 ints = 8; repeated bytes strings = 9; int32 type = 20; }
message TensorData { repeated int64 dims = 1; int32 data_type = 2; repeated float float_data = 4;
  repeated int64 int64_data = 7; string name = 8; }
message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } }
message Shape { repeated Dimension dim = 1; }
message TensorType { int32 elem_type = 1; Shape shape = 2; }
message MapType { int32 key_type = 1; Type value_type = 2; }
message SequenceType { Type elem_type = 1; }
message Type { oneof value { TensorType tensor_type = 1; SequenceType sequence_type = 4; MapType map_type = 5; } }
message ValueInfo { string name = 1; Type type = 2; }
message Node { repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
  repeated Attribute attribute = 5; string domain = 7; }
message Graph { repeated Node node = 1; string name = 2; repeated TensorData initializer = 5;
  repeated ValueInfo input = 11; repeated ValueInfo output = 12; }
message OperatorSet { string domain = 1; int64 version = 2; }
message Model { int64 ir_version = 1; repeated OperatorSet opset_import = 8; Graph graph = 7; }
`

/** Element types by their V2 names. */
const ELEMENT = new Map(
  Object.entries({
    FP32: 1,
    UINT8: 2,
    INT8: 3,
    UINT16: 4,
    INT16: 5,
    INT32: 6,
    INT64: 7,
    BYTES: 8,
    BOOL: 9,
    FP16: 10,
    FP64: 11,
    UINT32: 12,
    UINT64: 13,
  }),
)

export interface ValueSpec {
  readonly name: string
  readonly datatype: string
  /** A string is a size the request chooses, by that name. */
  readonly shape: readonly (number | string)[]
}

export interface NodeSpec {
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly domain?: string
  readonly attributes?: readonly object[]
}

export interface ModelSpec {
  readonly inputs: readonly ValueSpec[]
  /** Raw ONNX types may be given instead of a tensor's. */
  readonly outputs: readonly (ValueSpec | { readonly name: string; readonly type: object })[]
  readonly nodes: readonly NodeSpec[]
  readonly constants?: readonly { name: string; dims: number[]; floats?: number[]; ints?: number[] }[]
}

let root: Root | undefined

export function onnxModel(spec: ModelSpec): Uint8Array {
  root ??= protobuf.parse(SCHEMA, { keepCase: true }).root
  const Model = root.lookupType('Model')
  return Model.encode(
    Model.fromObject({
      ir_version: 8,
      opset_import: [
        { domain: '', version: 17 },
        { domain: 'ai.onnx.ml', version: 3 },
      ],
      graph: {
        name: 'test',
        node: spec.nodes.map((node) => ({
          op_type: node.op,
          input: node.inputs,
          output: node.outputs,
          domain: node.domain ?? '',
          attribute: node.attributes ?? [],
        })),
        initializer: (spec.constants ?? []).map(({ name, dims, floats, ints }) => ({
          name,
          dims,
          data_type: floats ? 1 : 7,
          float_data: floats ?? [],
          int64_data: ints ?? [],
        })),
        input: spec.inputs.map(valueInfo),
        output: spec.outputs.map((output) => ('type' in output ? output : valueInfo(output))),
      },
    }),
  ).finish()
}

function valueInfo({ name, datatype, shape }: ValueSpec): object {
  const dim = shape.map((size) => (typeof size === 'string' ? { dim_param: size } : { dim_value: size }))
  return { name, type: { tensor_type: { elem_type: ELEMENT.get(datatype), shape: { dim } } } }
}

/** y = x·W with the rows of W given: a linear model from `in` features to `out` scores. */
export function linearModel(
  weights: readonly (readonly number[])[],
  rows: number | string = 'batch',
): Uint8Array {
  const [features, scores] = [weights.length, weights[0]!.length]
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, features] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [rows, scores] }],
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
    constants: [{ name: 'w', dims: [features, scores], floats: weights.flat() }],
  })
}

/** One Identity per datatype: inputs `in_FP32` … come out as `out_FP32` …, [rows, 2] each. */
export function identityModel(datatypes: readonly string[]): Uint8Array {
  return onnxModel({
    inputs: datatypes.map((datatype) => ({ name: `in_${datatype}`, datatype, shape: ['batch', 2] })),
    outputs: datatypes.map((datatype) => ({ name: `out_${datatype}`, datatype, shape: ['batch', 2] })),
    nodes: datatypes.map((datatype) => ({
      op: 'Identity',
      inputs: [`in_${datatype}`],
      outputs: [`out_${datatype}`],
    })),
  })
}
