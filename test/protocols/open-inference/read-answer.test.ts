/** One reader of V2 answers: the same path finds the same value however the tensor was written. */
import fc from 'fast-check'
import t from 'tap'
import { openInference } from '../../../src/protocols/open-inference/index.ts'
import { type Datatype, dataToBytes, type Tensor } from '../../../src/protocols/open-inference/tensors.ts'
import { cpuMsOf } from '../../support/cpu-time.ts'

const pathOf = (pointer: string) => pointer.slice(1).split('/')
const jsonAnswer = (document: unknown) => ({
  status: 200,
  headers: ['content-type', 'application/json'],
  body: Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)),
})

/** One small output before it, so that its bytes do not start where the JSON ends. */
function binaryAnswer(tensor: Tensor) {
  const blob = dataToBytes(tensor)
  const { name, datatype, shape } = tensor
  const head = Buffer.from(
    JSON.stringify({
      outputs: [
        { name: 'first', datatype: 'UINT8', shape: [3], parameters: { binary_data_size: 3 } },
        { name, datatype, shape, parameters: { binary_data_size: blob.length } },
      ],
    }),
  )
  const headers = ['inference-header-content-length', String(head.length)]
  return { status: 200, headers, body: Buffer.concat([head, Buffer.from([1, 2, 3]), blob]) }
}

const read = (answer: { status: number; headers: string[]; body: Buffer }, ...pointers: string[]) =>
  openInference.readAnswer(answer, pointers.map(pathOf))

t.test('flat, nested and binary tensors are found at the same paths, by index and by name', async (t) => {
  const first = { name: 'first', datatype: 'UINT8', shape: [3], data: [1, 2, 3] }
  const y = { name: 'y', datatype: 'FP32', shape: [2, 3] }
  const flat = { outputs: [first, { ...y, data: [1.5, 2.5, 3.5, 4.5, 5.5, 6.5] }] }
  // biome-ignore format: the shape is seen
  const nested = { outputs: [first, { ...y, data: [[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]] }] }
  const data = Float32Array.of(1.5, 2.5, 3.5, 4.5, 5.5, 6.5)
  for (const answer of [
    jsonAnswer(flat),
    jsonAnswer(nested),
    jsonAnswer(JSON.stringify(nested, null, 2)),
    binaryAnswer({ name: 'y', datatype: 'FP32', shape: [2, 3], data }),
  ]) {
    for (const output of ['1', 'y']) {
      const at = (element: string) => `/outputs/${output}/data/${element}`
      t.same(read(answer, at('0'), at('4'), at('0/2'), at('1/1')), [1.5, 5.5, 3.5, 5.5])
      t.same(read(answer, at('6'), at('2/0'), at('0/1/0'), at('01'), at('-1')), Array(5).fill(undefined))
    }
    t.same(read(answer, '/outputs/9/data/0', '/outputs/z/data/0'), [undefined, undefined])
    t.same(read(answer, '/outputs/1/shape/1', '/outputs/1/datatype'), [3, 'FP32'], 'any other pointer, too')
  }
  t.same(
    read(jsonAnswer({ outputs: [{ name: 'p', shape: [1, 1], data: [[0.5]] }] }), '/outputs/0/data/0'),
    [0.5],
  )
})

t.test('every datatype is read from binary data', async (t) => {
  const cases: [Datatype, Tensor['data'], unknown][] = [
    ['BOOL', Uint8Array.of(0, 1), true],
    ['UINT8', Uint8Array.of(0, 200), 200],
    ['INT8', Int8Array.of(0, -7), -7],
    ['UINT16', Uint16Array.of(0, 65_535), 65_535],
    ['INT16', Int16Array.of(0, -300), -300],
    ['UINT32', Uint32Array.of(0, 4_294_967_295), 4_294_967_295],
    ['INT32', Int32Array.of(0, -70_000), -70_000],
    ['UINT64', BigUint64Array.of(0n, 5n), 5],
    ['INT64', BigInt64Array.of(0n, -5n), -5],
    ['FP16', Uint16Array.of(0, 0x3800), 0.5],
    ['FP32', Float32Array.of(0, 0.25), 0.25],
    ['FP64', Float64Array.of(0, 0.1), 0.1],
    ['BYTES', ['', 'grün'], 'grün'],
  ]
  for (const [datatype, data, expected] of cases) {
    const answer = binaryAnswer({ name: 'y', datatype, shape: [2], data })
    t.same(read(answer, '/outputs/y/data/1', '/outputs/1/data/2'), [expected, undefined], datatype)
    const cut = { ...answer, body: answer.body.subarray(0, -1) }
    t.same(read(cut, '/outputs/y/data/1'), [undefined], `${datatype}, cut off`)
  }
  const broken = binaryAnswer({ name: 'y', datatype: 'BYTES', shape: [1], data: ['a'] })
  broken.body[broken.body.length - 1] = 0xff
  t.same(read(broken, '/outputs/y/data/0'), [undefined], 'bytes that are no text')
  broken.body[broken.body.length - 5] = 9
  t.same(read(broken, '/outputs/y/data/0'), [undefined], 'an element longer than its tensor')
})

t.test('integers keep every digit where that is asked for', async (t) => {
  const digits = '9007199254740993'
  const written = Buffer.from(`{"outputs":[{"name":"y","shape":[1],"data":[${digits}]}]}`)
  const path = [pathOf('/outputs/y/data/0')]
  t.same(openInference.readExact({ status: 200, headers: [], body: written }, path), [BigInt(digits)])
  const { body, headers } = binaryAnswer({
    name: 'y',
    datatype: 'INT64',
    shape: [1],
    data: BigInt64Array.of(BigInt(digits)),
  })
  t.same(openInference.readExact({ status: 200, headers, body }, path), [BigInt(digits)])
  t.same(read(jsonAnswer(written.toString()), '/outputs/y/data/0'), [Number(digits)])
  const long = jsonAnswer(`{"x":${'9'.repeat(1_000_000)}}`)
  const ms = cpuMsOf(() => t.same(read(long, '/x'), [Number.POSITIVE_INFINITY]))
  t.ok(ms < 500, `a very long number takes no time: ${ms} ms`)
})

t.test('an element of any nested list is where a walk over the parsed list finds it', async (t) => {
  const { list } = fc.letrec((tie) => ({
    list: fc.array(fc.oneof({ maxDepth: 3 }, tie('scalar'), tie('list')), { maxLength: 4 }),
    scalar: fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string(), fc.boolean()),
  }))
  const spaces = fc.constantFrom(0, 1)
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(list, fc.nat({ max: 8 }), spaces, (data, index, indent) => {
        const text = JSON.stringify({ outputs: [{ 'k"\\': '[{"', data, name: 'é"\\' }] }, null, indent)
        const expected = (JSON.parse(text).outputs[0].data as unknown[]).flat(Number.POSITIVE_INFINITY)[index]
        const plain = JSON.parse(text).outputs[0].data[index]
        const found = openInference.readAnswer(jsonAnswer(text), [
          ['outputs', 'é"\\', 'data', String(index)],
        ])[0]
        const byIndex = read(jsonAnswer(text), `/outputs/0/data/${index}`)[0]
        const wanted = plain === undefined || Array.isArray(plain) ? expected : plain
        const isSame =
          byIndex === wanted || (Array.isArray(plain) && expected === undefined && byIndex === null)
        return isSame && found === expected
      }),
      { numRuns: 1000 },
    ),
  )
})

t.test('a hostile answer is read in one pass, without a stack of its own', async (t) => {
  const escapes = jsonAnswer(`{"s":"${'\\n'.repeat(2_000_000)}","outputs":[{"name":"y","data":[[7]]}]}`)
  const deep = jsonAnswer(`{"outputs":[{"name":"y","data":${'['.repeat(1e5)}1${']'.repeat(1e5)}}]}`)
  const many = Array.from({ length: 50_000 }, (_, at) => ({ name: `o${at}`, data: [at] }))
  const ms = cpuMsOf(() => {
    t.same(read(escapes, '/outputs/y/data/0', '/outputs/0/data/0'), [7, 7])
    t.same(read(deep, '/outputs/y/data/0'), [undefined])
    t.same(read(jsonAnswer({ outputs: many }), '/outputs/o49999/data/0'), [49_999])
  })
  t.ok(ms < 2000, `${ms} ms`)
})
