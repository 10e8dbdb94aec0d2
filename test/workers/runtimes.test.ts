/** Every runtime against the same contract, and what is particular to each. Runs them in this thread. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { DATATYPES, type Datatype, type Tensor } from '../../src/protocols/open-inference/tensors.ts'
import { type LoadedModel, ModelRefused } from '../../src/workers/runtimes/contract.ts'
import { RUNTIMES, runtimeOf } from '../../src/workers/runtimes/index.ts'
import { identityModel, linearModel } from '../support/onnx-writer.ts'

const folder = mkdtempSync(join(tmpdir(), 'modelgate-runtimes-'))
t.teardown(() => rmSync(folder, { recursive: true }))

let files = 0
function file(content: string | Uint8Array, ending: string): string {
  files += 1
  const path = join(folder, `${files}${ending}`)
  writeFileSync(path, content)
  return path
}

/** y = 2x, row by row, in each runtime's own form. */
const DOUBLE = new Map<string, () => string>([
  ['onnx', () => file(linearModel([[2]]), '.onnx')],
  [
    'javascript',
    () =>
      file(
        `export const metadata = {
          inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
          outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
        }
        export const batchable = true
        export const score = async ({ x }) =>
          ({ y: { datatype: 'FP32', shape: x.shape, data: x.data.map((value) => 2 * value) } })`,
        '.mjs',
      ),
  ],
])

for (const runtime of RUNTIMES) {
  t.test(`${runtime.name} keeps the contract of a runtime`, async (t) => {
    const model = await runtime.load(DOUBLE.get(runtime.name)!())
    t.same(model.signature, {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
    })
    t.equal(model.batchable, true)
    const x: Tensor = { name: 'x', datatype: 'FP32', shape: [2, 1], data: Float32Array.of(1, 4) }
    const y: Tensor = { name: 'y', datatype: 'FP32', shape: [2, 1], data: Float32Array.of(2, 8) }
    t.same(await model.run([x], null), [y])
    t.same(await model.run([x], ['y']), [y])
    await model.release()
    await t.rejects(runtime.load(join(folder, 'nothing')))
  })
}

t.test('onnx carries every datatype through unharmed', async (t) => {
  const data = new Map<Datatype, Tensor['data']>([
    ['BOOL', Uint8Array.of(1, 0)],
    ['UINT8', Uint8Array.of(0, 255)],
    ['UINT16', Uint16Array.of(0, 65535)],
    ['UINT32', Uint32Array.of(0, 4294967295)],
    ['UINT64', BigUint64Array.of(0n, 2n ** 64n - 1n)],
    ['INT8', Int8Array.of(-128, 127)],
    ['INT16', Int16Array.of(-32768, 32767)],
    ['INT32', Int32Array.of(-2147483648, 2147483647)],
    ['INT64', BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)],
    ['FP16', Uint16Array.of(0x3c00, 0xc100)],
    ['FP32', Float32Array.of(0.5, Number.NaN)],
    ['FP64', Float64Array.of(0.1, Number.NEGATIVE_INFINITY)],
    ['BYTES', ['ä"\n', '']],
  ])
  const model = await runtimeOf('onnx').load(file(identityModel(DATATYPES), '.onnx'))
  t.same(
    model.signature.inputs!.map((spec) => spec.datatype),
    DATATYPES,
  )
  const inputs = DATATYPES.map(
    (datatype): Tensor => ({ name: `in_${datatype}`, datatype, shape: [1, 2], data: data.get(datatype)! }),
  )
  const outputs = await model.run(inputs, null)
  t.same(
    outputs,
    inputs.map((tensor) => ({ ...tensor, name: tensor.name.replace('in_', 'out_') })),
  )
  t.same(
    (await model.run(inputs, ['out_INT8'])).map((tensor) => tensor.name),
    ['out_INT8'],
  )
})

t.test(
  'onnx joins only where every first dimension is the request’s to choose, and the same one',
  async (t) => {
    const load = async (rows: number | string) =>
      runtimeOf('onnx').load(file(linearModel([[1]], rows), '.onnx'))
    t.equal((await load('n')).batchable, true)
    t.equal((await load('')).batchable, true)
    t.equal((await load(4)).batchable, false)
    t.same((await load(4)).signature.inputs![0]!.shape, [4, 1])
  },
)

const javascript = (source: string): Promise<LoadedModel> =>
  runtimeOf('javascript').load(file(source, '.mjs'))
const x: Tensor = { name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(1) }

t.test('javascript: plain lists become tensors, 64-bit integers exactly, NaN as it is', async (t) => {
  const model = await javascript(`export const score = () => ({
    a: { datatype: 'INT64', shape: [2], data: [7, 9007199254740993n] },
    b: { datatype: 'FP64', shape: [1, 2], data: [[NaN, 1]] },
    c: { datatype: 'BYTES', shape: [1], data: ['text'] },
    d: { datatype: 'BOOL', shape: [1], data: [true] },
  })`)
  t.same(model.signature, { inputs: null, outputs: null })
  t.equal(model.batchable, false)
  t.same(
    (await model.run([x], null)).map((tensor) => tensor.data),
    [BigInt64Array.of(7n, 9007199254740993n), Float64Array.of(Number.NaN, 1), ['text'], Uint8Array.of(1)],
  )
})

t.test('javascript: an answer that breaks the module’s own word is an error', async (t) => {
  const declared = `export const metadata = { inputs: [], outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }] }\n`
  const answers: [string, string][] = [
    ['null', 'score did not answer with an object of outputs'],
    ['({})', "output 'y' is not { datatype, shape, data }"],
    ["({ y: { datatype: 'FP64', shape: [1], data: [1] } })", "output 'y' is FP64 [1], declared FP32 [1]"],
    ["({ y: { datatype: 'FP32', shape: [2], data: [1, 2] } })", "output 'y' is FP32 [2], declared FP32 [1]"],
    ["({ y: { datatype: 'FP32', shape: [1], data: [] } })", "output 'y': shape [1] needs 1 values, got 0"],
    ["({ y: { datatype: 'FP32', shape: [1], data: ['1'] } })", "output 'y': value 0 is not a number"],
    [
      "({ y: { datatype: 'FP32', shape: [1], data: new Float64Array(1) } })",
      "output 'y': data is a Float64Array, which does not hold FP32",
    ],
  ]
  for (const [answer, message] of answers) {
    const model = await javascript(`${declared}export const score = () => ${answer}`)
    await t.rejects(model.run([], null), { message })
  }
})

t.test('javascript: a module that is no model is refused with the reason', async (t) => {
  const modules: [string, string][] = [
    ['export const score = 1', 'the module exports no function score'],
    ['export const score = () => {}; export const metadata = {}', 'metadata.inputs is not a list'],
    [
      "export const score = () => {}; export const metadata = { inputs: [{ name: 'x', datatype: 'FLOAT' }] }",
      'metadata.inputs[0] is not { name, datatype, shape }',
    ],
  ]
  for (const [source, message] of modules) await t.rejects(javascript(source), new ModelRefused(message))
})

t.test('javascript: names from a caller can be anything', async (t) => {
  const model = await javascript(
    `export const score = (inputs) => ({ y: { datatype: 'BYTES', shape: [2], data: Object.keys(inputs) } })`,
  )
  const named = ['__proto__', 'constructor'].map((name) => ({ ...x, name }))
  t.same((await model.run(named, null))[0]!.data, ['__proto__', 'constructor'])
})
