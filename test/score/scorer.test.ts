/** Local scoring end to end: real threads, real ONNX Runtime, real files; nothing is imitated. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import t from 'tap'
import { headerOf } from '../../src/domain/head.ts'
import type { AttemptResult } from '../../src/domain/outcome.ts'
import { entryBeside } from '../../src/kernel/entry.ts'
import { Bench, Hold, jsonOf, rowsRequest, valuesOf } from '../support/local-models.ts'
import { linearModel } from '../support/onnx-writer.ts'

/** Answers each row's first value and how many rows it was given in that call, and counts its calls; -1 is held. */
const reporter = ({ imports, code }: Hold): string => `
${imports}
let calls = 0
export const metadata = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 3] }],
}
export const batchable = true
export function score({ x }) {
  calls += 1
  const rows = x.shape[0]
  if (x.data[0] === -1) { ${code} }
  const data = new Float32Array(rows * 3)
  for (let row = 0; row < rows; row += 1) data.set([x.data[row], rows, calls], row * 3)
  return { y: { datatype: 'FP32', shape: [rows, 3], data } }
}`

t.test('a real ONNX model answers, tells its metadata and echoes the id', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const file = join(bench.folder, 'v1.onnx')
  writeFileSync(
    file,
    linearModel([
      [1, 10],
      [2, 20],
    ]),
  )
  await bench.start({ v1: file })
  const result = await bench.infer(
    'v1',
    rowsRequest(
      [
        [1, 1],
        [3, 0],
      ],
      { id: 'r-7' },
    ),
  )
  t.same(jsonOf(result), {
    model_name: 'digits',
    model_version: 'v1',
    id: 'r-7',
    outputs: [{ name: 'y', datatype: 'FP32', shape: [2, 2], data: [3, 30, 3, 30] }],
  })
  t.equal(result.endpoint, 'pool')
  const { queueMs, connectMs, firstByteMs, totalMs } = result.phases
  t.ok(queueMs >= 0 && totalMs >= queueMs && firstByteMs === totalMs && connectMs === -1)
  t.same(jsonOf(await bench.metadata('v1')), {
    name: 'digits',
    versions: ['v1'],
    platform: 'onnxruntime_onnx',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
  })
  const state = bench.scorer.state(bench.version('v1'))
  t.ok(state.ready && state.metadata.batchable && state.metadata.loadMs > 0)
})

t.test('requests of one turn are joined into one run and every caller gets its own rows', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const hold = new Hold(bench.folder)
  const file = join(bench.folder, 'reporter.mjs')
  writeFileSync(file, reporter(hold))
  await bench.start({ v1: file })
  const bodies = [[[5]], [[6], [7], [8]], [[9]]]
  const results = await Promise.all(bodies.map((rows) => bench.infer('v1', rowsRequest(rows))))
  t.same(results.map(valuesOf), [
    [5, 5, 1],
    [6, 5, 1, 7, 5, 1, 8, 5, 1],
    [9, 5, 1],
  ])
})

t.test('a batch never holds more than 64 requests; the rest gathers while it is out', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const hold = new Hold(bench.folder)
  const file = join(bench.folder, 'reporter.mjs')
  writeFileSync(file, reporter(hold))
  await bench.start({ v1: file })
  const results = await Promise.all(
    Array.from({ length: 150 }, (_, i) => bench.infer('v1', rowsRequest([[i]]))),
  )
  const values = results.map(valuesOf) as number[][]
  t.same(
    values.map(([value]) => value),
    Array.from({ length: 150 }, (_, i) => i),
  )
  t.same(
    [...new Set(values.map(([, rows, call]) => `${rows} in call ${call}`))],
    ['64 in call 1', '64 in call 2', '22 in call 3'],
  )
})

t.test('whatever the row counts, joined ONNX answers are those of requests scored alone', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const file = join(bench.folder, 'v1.onnx')
  writeFileSync(
    file,
    linearModel([
      [1, 3],
      [2, 5],
    ]),
  )
  await bench.start({ v1: file }, { threads: 2 })
  const row = fc.tuple(fc.integer({ min: -99, max: 99 }), fc.integer({ min: -99, max: 99 }))
  const requests = fc.array(fc.array(row, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 90 })
  const outcome = await fc.check(
    fc.asyncProperty(requests, async (all) => {
      const results = await Promise.all(all.map((rows) => bench.infer('v1', rowsRequest(rows))))
      return results.every((result, index) => {
        const expected = all[index]!.flatMap(([a, b]) => [a + 2 * b, 3 * a + 5 * b])
        return JSON.stringify(valuesOf(result)) === JSON.stringify(expected.map((value) => value + 0))
      })
    }),
    { numRuns: 40 },
  )
  t.notOk(outcome.failed, fc.defaultReportMessage(outcome) ?? '')
})

t.test('a bad item in a batch is told so in exact words and disturbs no other', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const file = join(bench.folder, 'v1.onnx')
  writeFileSync(file, linearModel([[1], [1]]))
  await bench.start({ v1: file })
  const x = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }
  const results = await Promise.all([
    bench.infer('v1', { inputs: [x] }),
    bench.infer('v1', { inputs: [{ ...x, datatype: 'INT64' }] }),
    bench.infer('v1', { inputs: [{ ...x, shape: [1, 3] }] }),
    bench.infer('v1', { inputs: [{ ...x, name: 'foo' }] }),
    bench.infer('v1', { inputs: [] }),
    bench.infer('v1', { inputs: [x], outputs: [{ name: 'z' }] }),
    bench.infer('v1', Buffer.from('{"inputs": [')),
    bench.infer('v1', { inputs: [x], outputs: [{ name: 'y' }] }),
  ])
  t.same(valuesOf(results[0]!), [3])
  t.same(valuesOf(results[7]!), [3])
  t.same(
    results.slice(1, 7).map((result) => [result.fault?.code, result.fault?.message]),
    [
      ['bad-tensor', "input 'x': expected datatype FP32, got INT64"],
      ['bad-tensor', "input 'x': shape [1,3] does not fit [-1,2]"],
      ['bad-tensor', "unknown input 'foo'; the model takes: 'x'"],
      ['bad-tensor', "missing input 'x'"],
      ['bad-tensor', "requested output 'z' does not exist; the model gives: 'y'"],
      ['malformed-json', 'the body is not valid JSON'],
    ],
  )
  t.ok(results.every((result) => (result.answer === null) !== (result.fault === null)))
})

t.test('binary tensors in and out give what JSON gives', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const file = join(bench.folder, 'v1.onnx')
  writeFileSync(file, linearModel([[0.1], [0.7]]))
  await bench.start({ v1: file })
  const rows = [
    [1.5, -2],
    [3, 4.25],
  ]
  const head = Buffer.from(
    JSON.stringify({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 2], parameters: { binary_data_size: 16 } }],
      outputs: [{ name: 'y', parameters: { binary_data: true } }],
    }),
  )
  const body = Buffer.concat([head, new Uint8Array(Float32Array.from(rows.flat()).buffer)])
  const [binary, plain] = await Promise.all([
    bench.infer('v1', body, { jsonLength: head.length }),
    bench.infer('v1', rowsRequest(rows)),
  ])
  const { headers, body: bytes } = binary.answer!
  t.equal(headerOf(headers, 'content-type'), 'application/octet-stream')
  const length = Number(headerOf(headers, 'inference-header-content-length'))
  t.same(JSON.parse(Buffer.from(bytes.subarray(0, length)).toString()), {
    model_name: 'digits',
    model_version: 'v1',
    outputs: [{ name: 'y', datatype: 'FP32', shape: [2, 1], parameters: { binary_data_size: 8 } }],
  })
  t.same([...new Float32Array(bytes.slice(length).buffer)], valuesOf(plain))
})

t.test('a full queue refuses at once and by the name of its limit', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const hold = new Hold(bench.folder)
  const file = join(bench.folder, 'reporter.mjs')
  writeFileSync(file, reporter(hold))
  await bench.start({ v1: file }, { queueMax: 3 })
  const slow = bench.infer('v1', rowsRequest([[-1]]))
  await hold.begun()
  const more = Array.from({ length: 5 }, (_, i) => bench.infer('v1', rowsRequest([[i]])))
  t.equal(bench.scorer.waiting, 3)
  hold.release()
  const results = await Promise.all([slow, ...more])
  t.same(
    results.map((result) => result.fault?.code ?? 'answered'),
    ['answered', 'answered', 'answered', 'answered', 'scoring-queue-full', 'scoring-queue-full'],
  )
  t.equal(results[5]!.fault?.message, 'scoring.queue is full: 3 requests are waiting')
  t.equal(bench.scorer.waiting, 0)
})

t.test('shadows are scored after everybody who waits, and take no place in their line', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const hold = new Hold(bench.folder)
  const file = join(bench.folder, 'reporter.mjs')
  writeFileSync(file, reporter(hold))
  await bench.start({ v1: file }, { queueMax: 8 })
  const slow = bench.infer('v1', rowsRequest([[-1]]))
  await hold.begun()
  const told: string[] = []
  const asked = (name: string, isShadow: boolean) =>
    bench.infer('v1', rowsRequest([[7]]), { isShadow }).then((result) => {
      told.push(`${name} ${result.fault?.code ?? 'answered'}`)
      return result
    })
  const shadows = ['a', 'b', 'c'].map((name) => asked(name, true))
  const waiting = Array.from({ length: 8 }, (_, index) => asked(String(index), false))
  t.equal(bench.scorer.waiting, 2 + 8, 'a quarter of the line, and all of it')
  hold.release()
  const results = await Promise.all([slow, ...shadows, ...waiting])
  t.match(results[3]!.fault, { code: 'scoring-queue-full', message: /2 shadows are waiting/ })
  t.same(told.slice(-2).sort(), ['a answered', 'b answered'], 'they came first and are told last')
  t.equal(bench.scorer.waiting, 0)
})

t.test('requests whose time is up are answered then and never scored', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const hold = new Hold(bench.folder)
  const file = join(bench.folder, 'reporter.mjs')
  writeFileSync(file, reporter(hold))
  await bench.start({ v1: file })
  const slow = bench.infer('v1', rowsRequest([[-1]]))
  await hold.begun()
  const deadlineAt = bench.clock.now() + 40
  const late = await Promise.all([
    bench.infer('v1', rowsRequest([[1]]), { deadlineAt }),
    bench.infer('v1', rowsRequest([[2]]), { timeouts: { firstByteMs: 40 } }),
    bench.infer('v1', rowsRequest([[3]]), { timeouts: { totalMs: 40 } }),
  ])
  t.same(
    late.map((result) => result.fault?.code),
    ['deadline-exceeded', 'first-byte-timeout', 'total-timeout'],
  )
  t.ok(late.every((result) => result.phases.firstByteMs === -1))
  hold.release()
  t.equal(valuesOf(await slow)[2], 1, 'told while the one before them was still running')
  t.equal(valuesOf(await bench.infer('v1', rowsRequest([[4]])))[2], 2, 'none of the three was run')
})

t.test('inside a batch, what became late while others ran is not run', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const file = join(bench.folder, 'slow.mjs')
  writeFileSync(
    file,
    `let calls = 0
    export function score({ x }) {
      calls += 1
      if (x.data[0] === -1) { const end = Date.now() + 150; while (Date.now() < end); }
      return { y: { datatype: 'INT32', shape: [1], data: [calls] } }
    }`,
  )
  await bench.start({ v1: file })
  const [first, second] = await Promise.all([
    bench.infer('v1', rowsRequest([[-1]])),
    bench.infer('v1', rowsRequest([[1]]), { deadlineAt: bench.clock.now() + 50 }),
  ])
  t.same(valuesOf(first), [1])
  t.equal(second.fault?.code, 'deadline-exceeded')
  t.same(valuesOf(await bench.infer('v1', rowsRequest([[1]]))), [2])
})

t.test('a version that only others kept waiting is not blamed for being slow', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const [slow, quick] = [join(bench.folder, 'reporter.mjs'), join(bench.folder, 'v2.onnx')]
  const hold = new Hold(bench.folder)
  writeFileSync(slow, reporter(hold))
  writeFileSync(quick, linearModel([[1]]))
  await bench.start({ v1: slow, v2: quick })
  const hog = bench.infer('v1', rowsRequest([[-1]]))
  await hold.begun()
  const starved = await bench.infer('v2', rowsRequest([[1]]), { timeouts: { firstByteMs: 50 } })
  t.equal(starved.fault?.code, 'queue-timeout')
  hold.release()
  t.ok((await hog).answer)
})

t.test('a cancelled request is never told anything and frees its place', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const hold = new Hold(bench.folder)
  const file = join(bench.folder, 'reporter.mjs')
  writeFileSync(file, reporter(hold))
  const scorer = await bench.start({ v1: file })
  const told: AttemptResult[] = []
  const limits = {
    timeouts: { queueMs: 50, connectMs: 50, firstByteMs: 20, idleMs: 50, totalMs: 50 },
    deadlineAt: Number.POSITIVE_INFINITY,
  }
  const body = Buffer.from(JSON.stringify(rowsRequest([[1]])))
  const job = {
    version: bench.version('v1'),
    operation: 'infer',
    body,
    jsonLength: -1,
    limits,
    isShadow: false,
  } as const
  const cancel = scorer.submit(job, (result) => told.push(result))
  cancel()
  cancel()
  t.equal(scorer.waiting, 0)
  scorer.submit({ ...job, operation: 'metadata' }, (result) => told.push(result))()
  t.equal(valuesOf(await bench.infer('v1', rowsRequest([[2]])))[1], 1, 'it did not travel in the batch')
  await new Promise((resolve) => setTimeout(resolve, 60))
  t.same(told, [])
})

t.test('the caller’s bytes stay its own', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const file = join(bench.folder, 'v1.onnx')
  writeFileSync(file, linearModel([[1]]))
  await bench.start({ v1: file })
  const body = Buffer.from(JSON.stringify(rowsRequest([[1]])))
  const before = Buffer.from(body)
  await Promise.all([bench.infer('v1', body), bench.infer('v1', body)])
  t.ok(body.equals(before))
})

t.test('closing answers what waits and leaves nothing running', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const hold = new Hold(bench.folder)
  const file = join(bench.folder, 'reporter.mjs')
  writeFileSync(file, reporter(hold))
  await bench.start({ v1: file })
  const running = bench.infer('v1', rowsRequest([[-1]]))
  await hold.begun()
  const waiting = bench.infer('v1', rowsRequest([[1]]))
  await bench.close()
  t.same([(await running).fault?.code, (await waiting).fault?.code], ['draining', 'draining'])
  t.equal((await bench.infer('v1', rowsRequest([[1]]))).fault?.code, 'draining')
  t.equal(bench.sweep.size, 0)
})

t.test('inside another thread, as on a lane, it scores and lets that thread end', async (t) => {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const file = join(bench.folder, 'v1.onnx')
  writeFileSync(file, linearModel([[2]]))
  const worker = new Worker(entryBeside(import.meta.url, 'lane-thread'), { workerData: file })
  const [[message], [code]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
  t.same(message, [42])
  t.equal(code, 0)
})
