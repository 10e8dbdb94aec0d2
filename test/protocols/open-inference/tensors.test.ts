/** The tensor codec: exact words for what does not fit, no digit lost, JSON and binary meaning the same. */
import fc from 'fast-check'
import t from 'tap'
import { isFault } from '../../../src/domain/fault.ts'
import { decodeRequest, type InferRequest } from '../../../src/protocols/open-inference/decode-request.ts'
import { answerHeaders, encodeAnswer } from '../../../src/protocols/open-inference/encode-answer.ts'
import { quoteLongIntegers } from '../../../src/protocols/open-inference/tensor-values.ts'
import {
  type Datatype,
  dataToBytes,
  halfToNumber,
  type ModelSignature,
  type Tensor,
} from '../../../src/protocols/open-inference/tensors.ts'
import { cpuMsOf } from '../../support/cpu-time.ts'

const X: ModelSignature = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }],
}
const open: ModelSignature = { inputs: null, outputs: null }

function decode(body: unknown, signature: ModelSignature = X, blobs?: Uint8Array): InferRequest | string {
  const json = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const bytes = blobs === undefined ? json : Buffer.concat([json, blobs])
  const read = decodeRequest(bytes, blobs === undefined ? -1 : json.length, signature)
  return isFault(read) ? `${read.code}: ${read.message}` : read
}

const input = (more: object): object => ({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], ...more }],
})
const anyOf = (datatype: Datatype, shape: number[], data: unknown[]): object => ({
  inputs: [{ name: 'x', datatype, shape, data }],
})
const typed = (datatype: Datatype): ModelSignature => ({
  inputs: [{ name: 'x', datatype, shape: [-1] }],
  outputs: null,
})

t.test('whatever does not fit the model is named in exact words', async (t) => {
  const words: [unknown, string][] = [
    ['{"inputs":[}', 'malformed-json: the body is not valid JSON'],
    [[], 'malformed-request: the body must be a JSON object with "inputs"'],
    [{}, 'malformed-request: "inputs" must be a list of tensors'],
    [{ id: 7, inputs: [] }, 'malformed-request: "id" must be a string'],
    [{ inputs: [1] }, 'malformed-request: input 0 must be an object with a "name"'],
    [{ inputs: [] }, "bad-tensor: missing input 'x'"],
    [input({ name: 'foo' }), "bad-tensor: unknown input 'foo'; the model takes: 'x'"],
    [input({ name: '__proto__' }), "bad-tensor: unknown input '__proto__'; the model takes: 'x'"],
    [input({ datatype: 'INT64' }), "bad-tensor: input 'x': expected datatype FP32, got INT64"],
    [input({ datatype: undefined }), "bad-tensor: input 'x': expected datatype FP32, got none"],
    [input({ shape: [1, 3] }), "bad-tensor: input 'x': shape [1,3] does not fit [-1,2]"],
    [input({ shape: [2] }), "bad-tensor: input 'x': shape [2] does not fit [-1,2]"],
    [input({ shape: [-1, 2] }), 'bad-tensor: input \'x\': "shape" must be a list of integers, 0 or more'],
    [input({}), 'bad-tensor: input \'x\': "data" must be a list'],
    [input({ data: [1] }), "bad-tensor: input 'x': shape [1,2] needs 2 values, got 1"],
    [input({ data: [1, 'a'] }), "bad-tensor: input 'x': value 1 is not a number"],
    [input({ data: [1, null] }), "bad-tensor: input 'x': value 1 is not a number"],
    [input({ data: [1, 1e39] }), "bad-tensor: input 'x': value 1 does not fit FP32"],
    [input({ data: [[1], [2]] }), "bad-tensor: input 'x': nested data does not follow shape [1,2]"],
    [input({ data: [[1, 2, 3]] }), "bad-tensor: input 'x': nested data does not follow shape [1,2]"],
    [
      input({ parameters: { binary_data_size: 8 } }),
      "bad-tensor: input 'x': binary_data_size needs the inference-header-content-length header",
    ],
    [
      { ...input({ data: [1, 2] }), outputs: [{ name: 'z' }] },
      "bad-tensor: requested output 'z' does not exist; the model gives: 'y'",
    ],
    [
      { ...input({ data: [1, 2] }), outputs: [{ name: 'y', parameters: { classification: 3 } }] },
      "bad-tensor: requested output 'y': classification is not supported",
    ],
  ]
  for (const [body, expected] of words) t.equal(decode(body), expected)
  const twice = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }
  t.equal(decode({ inputs: [twice, twice] }), "bad-tensor: input 'x' is given twice")
  t.match(decodeRequest(Buffer.from([0x22, 0xff, 0x22]), -1, X), {
    code: 'malformed-json',
    message: 'the body is not valid UTF-8',
  })
})

t.test('values that a type cannot hold are refused, never wrapped or rounded', async (t) => {
  const words: [Datatype, unknown[], string][] = [
    ['UINT8', [256], 'value 0 does not fit UINT8'],
    ['INT8', [-129], 'value 0 does not fit INT8'],
    ['INT32', [1.5], 'value 0 is not an integer'],
    ['UINT64', [-1], 'value 0 does not fit UINT64'],
    ['INT64', [0.5], 'value 0 is not an integer'],
    ['INT64', ['7'], 'value 0 is not a number'],
    ['BOOL', [1], 'value 0 is not true or false'],
    ['BYTES', [1], 'value 0 is not a string'],
    ['FP16', [1], 'FP16 can only be sent as binary data'],
  ]
  for (const [datatype, data, expected] of words) {
    t.equal(decode(anyOf(datatype, [1], data), typed(datatype)), `bad-tensor: input 'x': ${expected}`)
  }
})

t.test('64-bit integers keep every digit in and out', async (t) => {
  const body = `{"id":"12345678901234567890","inputs":[{"name":"x","datatype":"INT64","shape":[3],
    "data":[9223372036854775807,-9223372036854775808,9007199254740993]}]}`
  const read = decode(body, typed('INT64')) as InferRequest
  t.same(read.inputs[0]!.data, BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n))
  t.equal(read.id, '12345678901234567890', 'digits in strings are left alone')
  const answer = encodeAnswer({ model: 'm', version: 'v' }, read, read.inputs)
  t.match(isFault(answer) ? '' : answer.json, '[9223372036854775807,-9223372036854775808,9007199254740993]')
  t.equal(
    decode(body.replace('9007199254740993', '9223372036854775808'), typed('INT64')),
    "bad-tensor: input 'x': value 2 does not fit INT64",
  )
  t.equal(
    decode(body.replace('9007199254740993', '1e19'), typed('INT64')),
    'bad-tensor: an integer beyond 2^53 is written with an exponent: write all its digits',
  )
  const mixed = `{"inputs":[{"name":"a","datatype":"INT64","shape":[1],"data":[9007199254740993]},
    {"name":"b","datatype":"FP64","shape":[3],"data":[12345678901234567890,0.12345678901234567890,1.5]}]}`
  const both = decode(mixed, open) as InferRequest
  t.same(both.inputs[1]!.data, Float64Array.of(Number('12345678901234567890'), 0.12345678901234568, 1.5))
})

t.test('any 64-bit integers written in JSON are read as they are', async (t) => {
  const outcome = fc.check(
    fc.property(
      fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { minLength: 1 }),
      (values) => {
        const text = `{"inputs":[{"name":"x","datatype":"INT64","shape":[${values.length}],"data":[${values.join(' , ')}]}]}`
        const read = decode(text, typed('INT64')) as InferRequest
        return values.every((value, index) => read.inputs[0]!.data[index] === value)
      },
    ),
  )
  t.notOk(outcome.failed, fc.defaultReportMessage(outcome) ?? '')
})

t.test('nested data means the same as flat data', async (t) => {
  const signature: ModelSignature = {
    inputs: [{ name: 'x', datatype: 'INT32', shape: [-1, 2, 2] }],
    outputs: null,
  }
  const flat = decode(anyOf('INT32', [1, 2, 2], [1, 2, 3, 4]), signature)
  const nested = decode(anyOf('INT32', [1, 2, 2], [[[1, 2], [3, 4]]]), signature) // biome-ignore format: shape is seen
  t.same(nested, flat)
  t.same((flat as InferRequest).inputs[0]!.data, Int32Array.of(1, 2, 3, 4))
})

t.test('binary tensors are read in order, and what is left over or cut off is refused', async (t) => {
  const floats = new Uint8Array(Float32Array.of(1.5, -2).buffer)
  const binary = (size: unknown): object => input({ parameters: { binary_data_size: size } })
  const read = decode(binary(8), X, floats) as InferRequest
  t.same(read.inputs[0]!.data, Float32Array.of(1.5, -2))
  t.equal(
    decode(binary(8), X, floats.subarray(0, 7)),
    "bad-tensor: input 'x': binary_data_size is 8, but 7 bytes are left",
  )
  t.equal(
    decode(binary(8), X, Buffer.concat([floats, floats])),
    'malformed-request: 8 bytes follow the last binary tensor',
  )
  t.equal(
    decode(binary(4), X, floats.subarray(0, 4)),
    "bad-tensor: input 'x': shape [1,2] of FP32 needs 8 bytes, got 4",
  )
  t.equal(
    decode(binary(-1), X, floats),
    "bad-tensor: input 'x': binary_data_size must be an integer, 0 or more",
  )
  const one = (size: number) => ({
    inputs: [{ name: 'x', datatype: 'BYTES', shape: [1], parameters: { binary_data_size: size } }],
  })
  t.equal(
    decode(one(3), open, Buffer.from([9, 0, 0])),
    "bad-tensor: input 'x': the length of BYTES element 0 is cut off",
  )
  t.equal(
    decode(one(5), open, Buffer.from([9, 0, 0, 0, 1])),
    "bad-tensor: input 'x': BYTES element 0 is cut off",
  )
  t.equal(
    decode(one(5), open, Buffer.from([1, 0, 0, 0, 0xff])),
    "bad-tensor: input 'x': BYTES element 0 is not UTF-8 text",
  )
  const bool = { inputs: [{ name: 'x', datatype: 'BOOL', shape: [1], parameters: { binary_data_size: 1 } }] }
  t.equal(decode(bool, open, Buffer.from([2])), "bad-tensor: input 'x': BOOL bytes must be 0 or 1")
  const fault = decodeRequest(Buffer.from('{}'), 9, X)
  t.match(fault, {
    code: 'malformed-request',
    message: 'inference-header-content-length is 9 but the body has 2 bytes',
  })
})

t.test('hostile bodies end in a fault or a request, never in an exception', async (t) => {
  const deep = `${'['.repeat(5000)}${']'.repeat(5000)}`
  t.match(decode(`{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":${deep}}]}`), 'nested data')
  t.match(
    decode(`{"inputs":[{"name":"x","datatype":"FP32","shape":[${'1,'.repeat(40)}1],"data":[1]}]}`, open),
    '"shape"',
  )
  t.match(decode(input({ shape: [2 ** 40, 2 ** 40], data: [] }), open), 'needs more than 1000000000')
  const outcome = fc.check(
    fc.property(fc.json(), fc.uint8Array(), (text, blobs) => {
      const read = decode(text, open, blobs)
      return typeof read === 'string' || Array.isArray(read.inputs)
    }),
  )
  t.notOk(outcome.failed, fc.defaultReportMessage(outcome) ?? '')
})

t.test('the words for a bad tensor hold no value of it, and names only in part', async (t) => {
  const secret = 4111111111111111
  const name = 'x'.repeat(10_000)
  const twice = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }
  const bodies: [unknown, ModelSignature][] = [
    [anyOf('INT32', [1], [secret]), typed('INT32')],
    [anyOf('INT32', [1], [secret + 0.5]), typed('INT32')],
    [anyOf('UINT8', [1], [`${secret}`]), typed('UINT8')],
    [anyOf('UINT64', [1], [-secret]), typed('UINT64')],
    [anyOf('INT64', [1], [secret / 2]), typed('INT64')],
    [`{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[${secret}${secret}]}]}`, typed('INT64')],
    [anyOf('FP32', [secret], [1]), typed('FP32')],
    [anyOf('FP32', Array(32).fill(secret), [1]), open],
    [input({ datatype: `${secret}` }), X],
    [input({ datatype: { secret } }), open],
    [input({ parameters: { binary_data_size: secret } }), X],
    [input({ shape: `${secret}` }), X],
    [{ inputs: [{ ...twice, name }] }, X],
    [{ inputs: [{ ...twice, name, data: [secret] }] }, open],
    [{ inputs: [twice], outputs: [{ name }] }, X],
    [{ inputs: [twice, { ...twice, name }, { ...twice, name }] }, open],
    [{ inputs: [twice], outputs: [{ name }, { name }] }, open],
  ]
  for (const [body, signature] of bodies) {
    for (const blobs of [undefined, Buffer.alloc(1)]) {
      const words = decode(body, signature, blobs) as string
      t.type(words, 'string', 'refused')
      t.notMatch(words, /4111|2055555/)
      t.ok(words.length < 300, words.slice(0, 300))
    }
  }
  const many = Array.from(
    { length: 500 },
    (_, at) => ({ name: `in${at}`, datatype: 'FP32', shape: [1] }) as const,
  )
  const words = decode(input({}), { inputs: many, outputs: null }) as string
  t.match(words, /^bad-tensor: unknown input 'x'; the model takes: 'in0', .* and 484 more$/)
})

t.test('a body of many escapes or many digits is read in linear time', async (t) => {
  const escapes = `{"id":"${'\\n'.repeat(4_000_000)}","inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[9007199254740993]}]}`
  const digits = (datatype: string) =>
    `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[2],"data":[9007199254740993,${'9'.repeat(4_000_000)}]}]}`
  const ms = cpuMsOf(() => {
    const read = decode(escapes, typed('INT64')) as InferRequest
    t.same(read.inputs[0]!.data, BigInt64Array.of(2n ** 53n + 1n))
    t.equal(decode(digits('INT64'), typed('INT64')), "bad-tensor: input 'x': value 1 does not fit INT64")
    t.equal(decode(digits('FP64'), typed('FP64')), "bad-tensor: input 'x': value 1 does not fit FP64")
  })
  t.ok(ms < 3000, `${ms} ms`)
})

t.test('only integers of a document are marked, wherever they stand', async (t) => {
  const outcome = fc.check(
    fc.property(fc.json({ depthSize: 'small' }), fc.bigInt(), fc.boolean(), (text, long, indented) => {
      const document = `{"d\\"":${text},"n":[${long}${indented ? ' ' : ''},-1.5e3,0.12345678901234567890]}`
      const quoted = JSON.parse(quoteLongIntegers(document))
      const digits = String(long).replace('-', '').length
      const expected = digits < 16 ? Number(long) : `\u0000integer:${long}`
      return quoted.n[0] === expected && JSON.stringify(quoted.n.slice(1)) === '[-1500,0.12345678901234568]'
    }),
  )
  t.notOk(outcome.failed, fc.defaultReportMessage(outcome) ?? '')
})

t.test('an output that JSON cannot carry is refused by name; as binary data it passes', async (t) => {
  const outputs: Tensor[] = [
    { name: 'y', datatype: 'FP32', shape: [2], data: Float32Array.of(1, Number.NaN) },
  ]
  const request: InferRequest = { id: null, inputs: [], outputs: null, binary: false }
  t.match(encodeAnswer({ model: 'm', version: 'v' }, request, outputs), {
    code: 'invalid-output',
    message: "output 'y' holds NaN at 1, which JSON cannot carry",
  })
  const binary = encodeAnswer({ model: 'm', version: 'v' }, { ...request, binary: true }, outputs)
  t.ok(!isFault(binary) && binary.blobs[0]!.length === 8)
  const mixed = { ...request, binary: true, outputs: [{ name: 'y', binary: false }] }
  t.ok(isFault(encodeAnswer({ model: 'm', version: 'v' }, mixed, outputs)), 'an output’s own wish goes first')
  t.same(answerHeaders(-1), ['content-type', 'application/json'])
  t.same(answerHeaders(12), [
    'content-type',
    'application/octet-stream',
    'inference-header-content-length',
    '12',
  ])
})

t.test('for every type, an answer read from JSON and from binary data is the same', async (t) => {
  const samples: [Datatype, Tensor['data'], unknown[]][] = [
    ['BOOL', Uint8Array.of(1, 0), [true, false]],
    ['UINT8', Uint8Array.of(0, 255), [0, 255]],
    ['UINT16', Uint16Array.of(0, 65535), [0, 65535]],
    ['UINT32', Uint32Array.of(0, 4294967295), [0, 4294967295]],
    ['UINT64', BigUint64Array.of(0n, 5n), [0, 5]],
    ['INT8', Int8Array.of(-128, 127), [-128, 127]],
    ['INT16', Int16Array.of(-32768, 32767), [-32768, 32767]],
    ['INT32', Int32Array.of(-2147483648, 2147483647), [-2147483648, 2147483647]],
    ['INT64', BigInt64Array.of(-5n, 5n), [-5, 5]],
    ['FP16', Uint16Array.of(0x3c00, 0xc100), [1, -2.5]],
    ['FP32', Float32Array.of(0.5, -3e38), [0.5, Math.fround(-3e38)]],
    ['FP64', Float64Array.of(0.1, -1e300), [0.1, -1e300]],
    ['BYTES', ['ä"\n', ''], ['ä"\n', '']],
  ]
  for (const [datatype, data, expected] of samples) {
    const tensor: Tensor = { name: 'x', datatype, shape: [2], data }
    const request: InferRequest = { id: null, inputs: [], outputs: null, binary: false }
    const answer = encodeAnswer({ model: 'm', version: 'v' }, request, [tensor])
    const json = isFault(answer) ? null : JSON.parse(answer.json)
    t.same(json?.outputs[0], { name: 'x', datatype, shape: [2], data: expected })
    const blob = dataToBytes(tensor)
    const body = {
      inputs: [{ name: 'x', datatype, shape: [2], parameters: { binary_data_size: blob.length } }],
    }
    t.same((decode(body, typed(datatype), blob) as InferRequest).inputs[0], tensor)
    if (datatype === 'FP16') continue
    t.same((decode(anyOf(datatype, [2], expected), typed(datatype)) as InferRequest).inputs[0], tensor)
  }
})

t.test('half-precision bits stand for the right numbers', async (t) => {
  const known: [number, number][] = [
    [0x0000, 0],
    [0x8000, -0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3555, 0.333251953125],
    [0x7bff, 65504],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0xfc00, Number.NEGATIVE_INFINITY],
    [0x7e00, Number.NaN],
  ]
  for (const [bits, value] of known) t.ok(Object.is(halfToNumber(bits), value), bits.toString(16))
})
