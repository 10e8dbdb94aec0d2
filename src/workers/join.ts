/**
 * Several requests as one: rows put under each other along the first dimension, and the outputs cut
 * apart again. Pure; knows nothing of models. test/workers/join.test.ts cuts what it joined, for any
 * row counts, and finds every request's own rows.
 */
import {
  countOf,
  isTexts,
  type Tensor,
  type TensorData,
  traitsOf,
} from '../protocols/open-inference/tensors.ts'

/**
 * Requests with equal keys can be joined: same inputs, same types, same sizes behind the first
 * dimension. Null: cannot be joined with any other (no rows, or inputs of differing row counts).
 */
export function joinKey(inputs: readonly Tensor[]): string | null {
  const rows = rowsOf(inputs)
  if (rows === 0) return null
  let key = ''
  for (const { name, datatype, shape } of inputs) {
    if (shape[0] !== rows) return null
    key += `${JSON.stringify(name)}${datatype}${shape.slice(1).join(',')};`
  }
  return key
}

/** Rows of a request; 0 when it has none to speak of. */
export function rowsOf(inputs: readonly Tensor[]): number {
  return inputs[0]?.shape[0] ?? 0
}

/** All `requests` must have the same joinKey. */
export function join(requests: readonly (readonly Tensor[])[]): readonly Tensor[] {
  const first = requests[0]!
  const rows = requests.reduce((sum, inputs) => sum + rowsOf(inputs), 0)
  return first.map(({ name, datatype, shape }, index) => ({
    name,
    datatype,
    shape: [rows, ...shape.slice(1)],
    data: concatenate(
      datatype,
      requests.map((inputs) => inputs[index]!.data),
    ),
  }))
}

function concatenate(datatype: Tensor['datatype'], parts: readonly TensorData[]): TensorData {
  const { make } = traitsOf(datatype)
  if (make === null) return (parts as readonly (readonly string[])[]).flat()
  const whole = make(parts.reduce((sum, part) => sum + part.length, 0)) as Float64Array
  let at = 0
  for (const part of parts) {
    whole.set(part as Float64Array, at)
    at += part.length
  }
  return whole
}

/** The outputs of each request, in order; null when an output does not have one row for each put in. */
export function split(
  outputs: readonly Tensor[],
  rows: readonly number[],
): readonly (readonly Tensor[])[] | null {
  const total = rows.reduce((sum, count) => sum + count, 0)
  if (outputs.some((output) => output.shape[0] !== total)) return null
  let start = 0
  return rows.map((count) => {
    const from = start
    start += count
    return outputs.map((output) => cut(output, from, count))
  })
}

/** Numeric data is viewed, not copied. */
function cut(output: Tensor, from: number, count: number): Tensor {
  const rest = output.shape.slice(1)
  const width = countOf(rest)
  const [start, end] = [from * width, (from + count) * width]
  const { name, datatype, data } = output
  const part = isTexts(data) ? data.slice(start, end) : data.subarray(start, end)
  return { name, datatype, shape: [count, ...rest], data: part }
}
