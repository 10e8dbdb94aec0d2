/**
 * ONNX Runtime is no JavaScript: a thread that is ended within it ends the whole process when it comes back. So no such
 * thread is ever ended, however late it is; each of these tests would end with SIGABRT otherwise.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Bench, rowsRequest, valuesOf } from '../support/local-models.ts'
import { linearModel, onnxModel } from '../support/onnx-writer.ts'

const ONE = rowsRequest([[1]])
const WIDTH = 512
const LAYERS = 24

/** One number a row, through many layers: some 12 million multiplications a row. */
function deepModel(): Uint8Array {
  const layers = Array.from({ length: LAYERS }, (_, index) => ({
    op: 'MatMul',
    inputs: [`h${index}`, 'w'],
    outputs: [`h${index + 1}`],
  }))
  const zeros = (count: number) => new Array<number>(count).fill(0)
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 1] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 1] }],
    nodes: [
      { op: 'MatMul', inputs: ['x', 'wide'], outputs: ['h0'] },
      ...layers,
      { op: 'MatMul', inputs: [`h${LAYERS}`, 'narrow'], outputs: ['y'] },
    ],
    constants: [
      { name: 'wide', dims: [1, WIDTH], floats: zeros(WIDTH) },
      { name: 'w', dims: [WIDTH, WIDTH], floats: zeros(WIDTH * WIDTH) },
      { name: 'narrow', dims: [WIDTH, 1], floats: zeros(WIDTH) },
    ],
  })
}

async function deep(threads: number): Promise<{ bench: Bench; slow(seconds: number): object }> {
  const bench = new Bench()
  const [deepFile, good] = [join(bench.folder, 'deep.onnx'), join(bench.folder, 'good.onnx')]
  writeFileSync(deepFile, deepModel())
  writeFileSync(good, linearModel([[1]]))
  await bench.start({ deep: deepFile, good }, { threads })
  const rows = (count: number) => rowsRequest(Array.from({ length: count }, () => [1]))
  let count = 64
  for (let ms = 0; ms < 200; count *= 2) {
    const startedAt = performance.now()
    valuesOf(await bench.infer('deep', rows(count)))
    ms = performance.now() - startedAt
  }
  // The last round took 200 ms or more, with half of `count`.
  return { bench, slow: (seconds) => rows(Math.ceil(seconds * 2.5 * count)) }
}

const SOON = { timeouts: { firstByteMs: 50, totalMs: 50 } }

t.test(
  'native code that is late keeps its thread and no other, and serves again when it is back',
  async (t) => {
    const { bench, slow } = await deep(2)
    t.teardown(() => bench.close())
    const { pool } = bench.scorer
    t.match((await bench.infer('deep', slow(3), SOON)).fault, { code: 'first-byte-timeout' })
    const [out, ...others] = pool.seats.filter((seat) => seat.busy)
    t.same(others, [])
    const startedAt = performance.now()
    let served = 0
    let isRefused = false
    let given = 0
    while (out?.busy === true) {
      const [mine, other] = await Promise.all([bench.infer('deep', ONE, SOON), bench.infer('good', ONE)])
      if (other.answer !== null) served += 1
      // With its time and the second on top over, it is given up by the sweep that refuses this one, or before.
      if (!out.busy || performance.now() - startedAt < 1_500) continue
      if (mine.answer === null) isRefused = true
      else if (isRefused) given += 1
    }
    t.ok(served > 1, `${served} others were answered while it was out`)
    t.equal(given, 0, 'it waited for the thread it has')
    t.equal(pool.deaths, 0, 'no thread was ended')
    t.same(valuesOf(await bench.infer('deep', ONE)), [0], 'and it serves again')
  },
)

t.test('a stop waits for native code, whatever it is at: starting, loading or scoring', async (t) => {
  const { bench, slow } = await deep(1)
  void bench.infer('deep', slow(1), SOON)
  await bench.close()
  for (const ms of [0, 20, 40, 60, 80, 120, 160]) {
    const other = new Bench()
    const file = join(other.folder, 'good.onnx')
    writeFileSync(file, linearModel([[1]]))
    const starting = other.start({ good: file }, { threads: 2 })
    await new Promise((resolve) => setTimeout(resolve, ms))
    await other.close()
    await Promise.race([starting, null])
  }
  t.pass('the process is still here')
})
