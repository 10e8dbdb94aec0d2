/** Comparisons on the real pool: verdicts come back to their own pairs, and scoring always goes first. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Answer } from '../../src/domain/outcome.ts'
import type { CompareRule } from '../../src/domain/routes.ts'
import { COMPARE_PAIR_BYTES_MAX, Comparer, type PairVerdict } from '../../src/score/comparer.ts'
import { Bench, Hold, rowsRequest } from '../support/local-models.ts'
import { linearModel } from '../support/onnx-writer.ts'

const RULES: CompareRule[] = [
  { pointer: '/outputs/0/data/0', as: 'number', toleranceAbs: 0.5, toleranceRel: 0 },
]

const answer = (value: number): Answer => ({
  status: 200,
  headers: ['content-type', 'application/json'],
  body: Buffer.from(
    JSON.stringify({ outputs: [{ name: 'y', datatype: 'FP32', shape: [1], data: [value] }] }),
  ),
})

function binaryAnswer(value: number): Answer {
  const output = { name: 'y', datatype: 'FP32', shape: [1], parameters: { binary_data_size: 4 } }
  const head = Buffer.from(JSON.stringify({ outputs: [output] }))
  return {
    status: 200,
    headers: ['inference-header-content-length', String(head.length)],
    body: Buffer.concat([head, new Uint8Array(Float32Array.of(value).buffer)]),
  }
}

const compare = (comparer: Comparer, primary: Answer, shadow: Answer): Promise<PairVerdict> =>
  new Promise((resolve) =>
    comparer.submit({ protocol: 'open-inference', rules: RULES, primary, shadow, rename: null }, resolve),
  )

t.test('without a single local model, pairs are compared and each verdict finds its pair', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const scorer = await bench.start({})
  const comparer = new Comparer({ pool: scorer.pool, clock: bench.clock })
  const verdicts = await Promise.all(
    Array.from({ length: 100 }, (_, i) => compare(comparer, answer(0), i % 2 ? binaryAnswer(i) : answer(i))),
  )
  t.same(
    verdicts.map((verdict) => verdict.differences[0]),
    Array.from({ length: 100 }, (_, i) => i),
  )
  t.equal(verdicts.filter((verdict) => verdict.agreement === 'agree').length, 1)
  t.equal(comparer.dropped, 0)
  comparer.close()
})

t.test(
  'each pair is read as its own dialect reads it, with our names, streams and packed numbers, too',
  async (t) => {
    const bench = new Bench()
    t.teardown(() => bench.close())
    const scorer = await bench.start({})
    const comparer = new Comparer({ pool: scorer.pool, clock: bench.clock })
    const told = (type: string, text: string): Answer => ({
      status: 200,
      headers: ['date', 'today', 'content-type', type],
      body: Buffer.from(text),
    })
    const rule = (pointer: string): CompareRule => ({
      pointer,
      as: 'label',
      toleranceAbs: 0,
      toleranceRel: 0,
    })
    const pieces = ['He', 'llo'].map((content) => JSON.stringify({ choices: [{ delta: { content } }] }))
    const stream = told('text/event-stream', pieces.map((piece) => `data: ${piece}\n\n`).join(''))
    const plain = told('application/json', '{"choices":[{"message":{"content":"Hello"}}]}')
    const row = told('application/json', '{"predictions":[9007199254740993]}')
    const near = told('application/json', '{"predictions":[9007199254740992]}')
    const content = rule('/choices/0/message/content')
    const prediction = rule('/predictions/0')
    const name = rule('/model')
    const ours = told('application/json', '{"model":"m"}')
    const theirs = told('application/json', '{"model":"theirs"}')
    const events = told('text/event-stream', 'data: {"model":"theirs"}\n\n')
    const pairs = [
      { protocol: 'openai', rules: [content], primary: plain, shadow: stream },
      { protocol: 'open-inference', rules: [content], primary: plain, shadow: stream },
      { protocol: 'kserve-v1', rules: [prediction], primary: row, shadow: near },
      { protocol: 'kserve-v1', rules: [prediction], primary: row, shadow: row },
      { protocol: 'unheard-of', rules: [prediction], primary: row, shadow: row },
      { protocol: 'openai', rules: [name], primary: ours, shadow: theirs },
      {
        protocol: 'openai',
        rules: [name],
        primary: ours,
        shadow: theirs,
        rename: { model: 'm', name: 'v2' },
      },
      {
        protocol: 'openai',
        rules: [name],
        primary: ours,
        shadow: events,
        rename: { model: 'm', name: 'v2' },
      },
    ]
    const verdicts = await Promise.all(
      pairs.map(
        (pair) => new Promise<PairVerdict>((resolve) => comparer.submit({ rename: null, ...pair }, resolve)),
      ),
    )
    t.same(
      verdicts.map(({ agreement }) => agreement),
      ['agree', 'incomparable', 'differ', 'agree', 'incomparable', 'differ', 'agree', 'agree'],
    )
    comparer.close()
  },
)

t.test('a pair that cannot be read has its own verdict and drops no other', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const scorer = await bench.start({})
  const comparer = new Comparer({ pool: scorer.pool, clock: bench.clock })
  const broken = [{ as: 'number', toleranceAbs: 0, toleranceRel: 0 } as CompareRule]
  const pairs = [RULES, broken, RULES].map((rules) => ({
    protocol: 'open-inference',
    rules,
    primary: answer(1),
    shadow: answer(1),
    rename: null,
  }))
  const verdicts = await Promise.all(
    pairs.map((pair) => new Promise<PairVerdict>((resolve) => comparer.submit(pair, resolve))),
  )
  t.same(
    verdicts.map((verdict) => verdict.agreement),
    ['agree', 'incomparable', 'agree'],
  )
  comparer.close()
})

t.test('what finds no room, or is too large, is dropped, counted and told', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const scorer = await bench.start({})
  const comparer = new Comparer({ pool: scorer.pool, clock: bench.clock, queueMax: 2 })
  const large = { ...answer(1), body: new Uint8Array(COMPARE_PAIR_BYTES_MAX) }
  const verdicts = await Promise.all([
    compare(comparer, answer(1), large),
    ...[1, 2, 3].map((value) => compare(comparer, answer(1), answer(value))),
  ])
  t.same(
    verdicts.map((verdict) => verdict.agreement),
    ['not-compared', 'agree', 'differ', 'not-compared'],
  )
  t.equal(comparer.dropped, 2)
  const last = compare(comparer, answer(1), answer(1))
  comparer.close()
  t.equal((await last).agreement, 'not-compared')
  t.equal((await compare(comparer, answer(1), answer(1))).agreement, 'not-compared')
})

t.test('while requests wait for the thread, comparisons wait longer', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const [slow, quick] = [join(bench.folder, 'slow.mjs'), join(bench.folder, 'quick.onnx')]
  const hold = new Hold(bench.folder)
  writeFileSync(
    slow,
    `${hold.imports}
    export function score() {
      ${hold.code}
      return { y: { datatype: 'FP32', shape: [1], data: [1] } }
    }`,
  )
  writeFileSync(quick, linearModel([[1]]))
  const scorer = await bench.start({ slow, quick })
  const comparer = new Comparer({ pool: scorer.pool, clock: bench.clock })
  const order: string[] = []
  const held = bench.infer('slow', rowsRequest([[1]])).then(() => order.push('slow'))
  await hold.begun()
  const pair = compare(comparer, answer(1), answer(1)).then(() => order.push('compared'))
  const request = bench.infer('quick', rowsRequest([[1]])).then(() => order.push('quick'))
  hold.release()
  await Promise.all([held, pair, request])
  t.same(order, ['slow', 'quick', 'compared'])
  comparer.close()
})
