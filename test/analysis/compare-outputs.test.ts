/** Two answers, some rules, one verdict: whatever way the tensors are written. */
import fc from 'fast-check'
import t from 'tap'
import { compareOutputs as compare } from '../../src/analysis/compare-outputs.ts'
import type { CompareRule } from '../../src/domain/routes.ts'
import { openInference } from '../../src/protocols/open-inference/index.ts'

const number = (pointer: string, more: Partial<CompareRule> = {}): CompareRule => ({
  pointer,
  as: 'number',
  toleranceAbs: 0,
  toleranceRel: 0,
  ...more,
})
const label = (pointer: string): CompareRule => number(pointer, { as: 'label' })

interface Written {
  readonly bytes: Uint8Array
  /** -1: all of it is JSON. */
  readonly jsonLength: number
}

const answerOf = ({ bytes, jsonLength }: Written) => ({
  status: 200,
  headers: jsonLength === -1 ? [] : ['inference-header-content-length', String(jsonLength)],
  body: bytes,
})
const compareOutputs = (primary: Written, shadow: Written, rules: readonly CompareRule[]) =>
  compare({ primary: answerOf(primary), shadow: answerOf(shadow) }, rules, openInference)

const json = (document: unknown) => ({
  bytes: Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)),
  jsonLength: -1,
})
const v2 = (data: unknown, shape: number[] = [2], datatype = 'FP32') =>
  json({ outputs: [{ name: 'y', datatype, shape, data }] })

/** Two outputs as binary data; the first only moves the second away from the start. */
function binary(data: Uint8Array, datatype: string, shape: number[]) {
  const head = Buffer.from(
    JSON.stringify({
      outputs: [
        { name: 'first', datatype: 'UINT8', shape: [3], parameters: { binary_data_size: 3 } },
        { name: 'y', datatype, shape, parameters: { binary_data_size: data.length } },
      ],
    }),
  )
  return { bytes: Buffer.concat([head, Buffer.from([1, 2, 3]), data]), jsonLength: head.length }
}
const bytesOf = (data: ArrayBufferView) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

t.test('numbers agree within the wider of the two tolerances', async (t) => {
  const at = '/outputs/0/data/1'
  const cases: [unknown, unknown, Partial<CompareRule>, string, number | null][] = [
    [1, 1, {}, 'agree', 0],
    [1, 1.5, {}, 'differ', 0.5],
    [1, 1.5, { toleranceAbs: 0.5 }, 'agree', 0.5],
    [100, 101, { toleranceRel: 0.01 }, 'agree', 1],
    [101, 100, { toleranceRel: 0.01 }, 'agree', 1],
    [100, 102, { toleranceRel: 0.01 }, 'differ', 2],
    [1, '1', {}, 'incomparable', null],
    [1, null, {}, 'incomparable', null],
    [1, undefined, {}, 'incomparable', null],
  ]
  for (const [first, second, tolerance, agreement, difference] of cases) {
    const found = compareOutputs(v2([0, first]), v2([0, second]), [number(at, tolerance)])
    t.same(found, { agreement, differences: [difference] }, `${first} and ${second}`)
  }
})

t.test('labels agree when they are the same, and have no difference', async (t) => {
  const cases: [unknown, unknown, string][] = [
    ['cat', 'cat', 'agree'],
    ['cat', 'dog', 'differ'],
    [true, true, 'agree'],
    [3, 3, 'agree'],
    [3, '3', 'differ'],
    [1, true, 'differ'],
    ['cat', undefined, 'incomparable'],
  ]
  for (const [first, second, agreement] of cases) {
    const found = compareOutputs(v2([first]), v2([second]), [label('/outputs/0/data/0')])
    t.same(found, { agreement, differences: [null] }, `${first} and ${second}`)
  }
})

t.test('flat, nested and binary tensors are one and the same', async (t) => {
  const values = [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
  const flat = v2(values, [2, 3])
  const nested = v2([values.slice(0, 3), values.slice(3)], [2, 3])
  const blob = binary(bytesOf(Float32Array.from(values)), 'FP32', [2, 3])
  for (const [first, second] of [
    [flat, nested],
    [nested, flat],
  ] as const) {
    t.equal(compareOutputs(first, second, [number('/outputs/0/data/4')]).agreement, 'agree')
    t.equal(compareOutputs(first, second, [number('/outputs/0/data/1/1')]).agreement, 'agree')
    t.equal(compareOutputs(first, second, [number('/outputs/0/data/2/0')]).agreement, 'incomparable')
    t.equal(compareOutputs(first, second, [number('/outputs/0/data/6')]).agreement, 'incomparable')
  }
  for (const pointer of ['/outputs/y/data/4', '/outputs/y/data/1/1']) {
    t.same(compareOutputs(flat, blob, [number(pointer)]), { agreement: 'agree', differences: [0] })
  }
  t.equal(compareOutputs(blob, blob, [number('/outputs/1/data/6')]).agreement, 'incomparable')
})

t.test('binary values of every kind are read', async (t) => {
  const cases: [string, Uint8Array, Uint8Array, CompareRule['as'], string][] = [
    ['FP64', bytesOf(Float64Array.of(1)), bytesOf(Float64Array.of(1)), 'number', 'agree'],
    [
      'FP64',
      bytesOf(Float64Array.of(Number.NaN)),
      bytesOf(Float64Array.of(Number.NaN)),
      'number',
      'incomparable',
    ],
    ['FP64', bytesOf(Float64Array.of(Number.NaN)), bytesOf(Float64Array.of(1)), 'number', 'differ'],
    [
      'FP64',
      bytesOf(Float64Array.of(Infinity)),
      bytesOf(Float64Array.of(Infinity)),
      'number',
      'incomparable',
    ],
    ['FP64', bytesOf(Float64Array.of(Infinity)), bytesOf(Float64Array.of(-Infinity)), 'number', 'differ'],
    ['FP16', bytesOf(Uint16Array.of(0x3c00)), bytesOf(Uint16Array.of(0x3c01)), 'number', 'differ'],
    [
      'INT64',
      bytesOf(BigInt64Array.of(2n ** 53n)),
      bytesOf(BigInt64Array.of(2n ** 53n + 1n)),
      'number',
      'differ',
    ],
    [
      'INT64',
      bytesOf(BigInt64Array.of(2n ** 53n)),
      bytesOf(BigInt64Array.of(2n ** 53n + 1n)),
      'label',
      'differ',
    ],
    ['BYTES', Buffer.from('\x02\0\0\0ab'), Buffer.from('\x02\0\0\0ab'), 'label', 'agree'],
    ['BYTES', Buffer.from('\x02\0\0\0ab'), Buffer.from('\x02\0\0\0ac'), 'label', 'differ'],
    ['BOOL', Buffer.from([1]), Buffer.from([0]), 'label', 'differ'],
    ['FP32', Buffer.from([1]), Buffer.from([1]), 'number', 'incomparable'],
    ['NEW', Buffer.from([1]), Buffer.from([1]), 'label', 'incomparable'],
  ]
  for (const [datatype, first, second, as, agreement] of cases) {
    const rule = number('/outputs/1/data/0', { as })
    t.equal(
      compareOutputs(binary(first, datatype, [1]), binary(second, datatype, [1]), [rule]).agreement,
      agreement,
    )
  }
})

t.test('what is no finite number never agrees, however it is written', async (t) => {
  const written = (value: string) => json(`{"outputs":[{"shape":[1],"data":[${value}]}]}`)
  for (const rule of [number('/outputs/0/data/0', { toleranceAbs: 1 }), label('/outputs/0/data/0')]) {
    const verdict = (first: string, second: string) => compareOutputs(written(first), written(second), [rule])
    t.same(verdict('1e999', '2e999'), { agreement: 'incomparable', differences: [null] })
    t.same(verdict('1e999', '-1e999'), { agreement: 'differ', differences: [null] })
    t.same(verdict('1e999', '1'), { agreement: 'differ', differences: [null] })
    t.same(verdict(`1${'0'.repeat(400)}`, '1e999'), { agreement: 'incomparable', differences: [null] })
  }
})

t.test('identifiers beyond 2^53 are not taken for equal', async (t) => {
  const [first, second] = [
    '{"outputs":[{"shape":[1],"data":[9007199254740992]}]}',
    '{"outputs":[{"shape":[1],"data":[9007199254740993]}]}',
  ].map(json)
  t.equal(compareOutputs(first!, second!, [label('/outputs/0/data/0')]).agreement, 'differ')
  t.same(compareOutputs(first!, second!, [number('/outputs/0/data/0')]).differences, [1])
  t.equal(compareOutputs(second!, second!, [label('/outputs/0/data/0')]).agreement, 'agree')
})

t.test('any JSON answer can be asked by pointer, and escapes are understood', async (t) => {
  const first = json({ 'a/b': { '~': [{ score: 1 }] }, list: [1] })
  const second = json({ 'a/b': { '~': [{ score: 2 }] }, list: [1] })
  t.same(compareOutputs(first, second, [number('/a~1b/~0/0/score')]).differences, [1])
  for (const pointer of ['/list/00', '/list/-', '/list/length', '/__proto__/x', '/list', '']) {
    t.equal(compareOutputs(first, second, [label(pointer)]).agreement, 'incomparable', pointer)
  }
})

t.test('one difference is a finding, whatever else is missing; nothing compared never agrees', async (t) => {
  const rules = [number('/outputs/0/data/0'), number('/outputs/0/data/9'), label('/outputs/0/data/1')]
  t.same(compareOutputs(v2([1, 'a']), v2([2, 'a']), rules), {
    agreement: 'differ',
    differences: [1, null, null],
  })
  t.equal(compareOutputs(v2([1, 'a']), v2([1, 'a']), rules).agreement, 'incomparable')
  t.equal(compareOutputs(v2([1]), v2([1]), []).agreement, 'incomparable')
  const deep = json(`{"outputs":[{"shape":[1],"data":${'['.repeat(1e5)}1${']'.repeat(1e5)}}]}`)
  t.equal(compareOutputs(deep, deep, [number('/outputs/0/data/0')]).agreement, 'incomparable')
  t.same(compareOutputs(v2([1]), json('no json'), [number('/outputs/0/data/0')]), {
    agreement: 'incomparable',
    differences: [null],
  })
})

t.test('which side is the primary never matters', async (t) => {
  const rule = number('/outputs/0/data/0', { toleranceAbs: 0.1, toleranceRel: 0.2 })
  const finite = fc.double({ noNaN: true, noDefaultInfinity: true })
  const outcome = fc.check(
    fc.property(finite, finite, (a, b) => {
      const [one, other] = [
        compareOutputs(v2([a]), v2([b]), [rule]),
        compareOutputs(v2([b]), v2([a]), [rule]),
      ]
      return JSON.stringify(one) === JSON.stringify(other)
    }),
  )
  t.notOk(outcome.failed, fc.defaultReportMessage(outcome) ?? '')
})
