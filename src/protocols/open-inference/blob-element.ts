/**
 * One value of a binary tensor (little-endian, row-major), read where it lies: nothing else of the
 * tensor is copied or decoded. 64-bit integers keep every digit.
 */
import { Buffer, isUtf8 } from 'node:buffer'
import { type Datatype, halfToNumber } from './tensors.ts'

type Element = number | bigint | boolean | undefined

const READ: Readonly<Record<Exclude<Datatype, 'BYTES'>, readonly [number, (view: DataView) => Element]>> = {
  BOOL: [1, (view) => truthOf(view.getUint8(0))],
  UINT8: [1, (view) => view.getUint8(0)],
  INT8: [1, (view) => view.getInt8(0)],
  UINT16: [2, (view) => view.getUint16(0, true)],
  INT16: [2, (view) => view.getInt16(0, true)],
  UINT32: [4, (view) => view.getUint32(0, true)],
  INT32: [4, (view) => view.getInt32(0, true)],
  UINT64: [8, (view) => view.getBigUint64(0, true)],
  INT64: [8, (view) => view.getBigInt64(0, true)],
  FP16: [2, (view) => halfToNumber(view.getUint16(0, true))],
  FP32: [4, (view) => view.getFloat32(0, true)],
  FP64: [8, (view) => view.getFloat64(0, true)],
}

/** Undefined: the tensor has no such element, or its bytes mean nothing in that type. */
export function elementAt(datatype: Datatype, blob: Uint8Array, index: number): Element | string {
  if (datatype === 'BYTES') return textAt(blob, index)
  const [width, read] = READ[datatype]
  const at = index * width
  if (at + width > blob.length) return undefined
  return read(new DataView(blob.buffer, blob.byteOffset + at, width))
}

/** Each element is preceded by its length in four bytes. */
function textAt(blob: Uint8Array, index: number): string | undefined {
  const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength)
  let at = 0
  for (let element = 0; at + 4 <= bytes.length; element += 1) {
    const start = at + 4
    at = start + bytes.readUInt32LE(at)
    if (at > bytes.length) return undefined
    if (element < index) continue
    const text = bytes.subarray(start, at)
    return isUtf8(text) ? text.toString('utf8') : undefined
  }
  return undefined
}

function truthOf(byte: number): boolean | undefined {
  return byte > 1 ? undefined : byte === 1
}
