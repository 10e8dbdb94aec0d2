/**
 * The part of the ONNX schema that the models of this repository need, written from the field numbers
 * of the public specification (onnx.ai, IR version 8). Only door to protobufjs.
 *
 * Lists of numbers are packed: the specification declares them unpacked, every protobuf reader takes
 * both, and packed they are a third smaller.
 */
import protobuf from 'protobufjs'

const SCHEMA = `
syntax = "proto2";
message ModelProto {
  optional int64 ir_version = 1;
  optional string producer_name = 2;
  optional string producer_version = 3;
  optional string domain = 4;
  optional int64 model_version = 5;
  optional string doc_string = 6;
  optional GraphProto graph = 7;
  repeated OperatorSetIdProto opset_import = 8;
  repeated StringStringEntryProto metadata_props = 14;
}
message OperatorSetIdProto { optional string domain = 1; optional int64 version = 2; }
message StringStringEntryProto { optional string key = 1; optional string value = 2; }
message GraphProto {
  repeated NodeProto node = 1;
  optional string name = 2;
  repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11;
  repeated ValueInfoProto output = 12;
}
message NodeProto {
  repeated string input = 1;
  repeated string output = 2;
  optional string name = 3;
  optional string op_type = 4;
  repeated AttributeProto attribute = 5;
  optional string domain = 7;
}
message AttributeProto {
  optional string name = 1;
  optional float f = 2;
  optional int64 i = 3;
  optional bytes s = 4;
  repeated float floats = 7 [packed = true];
  repeated int64 ints = 8 [packed = true];
  repeated bytes strings = 9;
  optional int32 type = 20;
}
message TensorProto {
  repeated int64 dims = 1 [packed = true];
  optional int32 data_type = 2;
  optional string name = 8;
  optional bytes raw_data = 9;
}
message ValueInfoProto { optional string name = 1; optional TypeProto type = 2; }
message TypeProto { optional TensorTypeProto tensor_type = 1; }
message TensorTypeProto { optional int32 elem_type = 1; optional TensorShapeProto shape = 2; }
message TensorShapeProto { repeated DimensionProto dim = 1; }
message DimensionProto { optional int64 dim_value = 1; optional string dim_param = 2; }
`

/** TensorProto.DataType. */
export const FLOAT = 1
export const INT64 = 7

const MODEL = protobuf.parse(SCHEMA, { keepCase: true }).root.lookupType('ModelProto')

/** `model` in the field names of the schema. Throws for a value the schema does not hold. */
export function encodeModel(model: Record<string, unknown>): Uint8Array {
  const problem = MODEL.verify(model)
  if (problem !== null) throw new Error(`not an ONNX model: ${problem}`)
  return MODEL.encode(MODEL.create(model)).finish()
}

/** For tests: what a file holds, with numbers as numbers. */
export function decodeModel(bytes: Uint8Array): Record<string, unknown> {
  return MODEL.toObject(MODEL.decode(bytes), { longs: Number, arrays: true })
}
