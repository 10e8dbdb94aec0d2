/** What a batch on a real thread answers to each of its requests, whatever the others do to it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { AttemptResult } from '../../src/domain/outcome.ts'
import { Sweep } from '../../src/kernel/sweep.ts'
import { batchOf, settleBatch } from '../../src/score/batch.ts'
import { Job } from '../../src/score/job.ts'
import { VersionQueue } from '../../src/score/version-queue.ts'
import type { ScoreResult } from '../../src/workers/messages.ts'
import type { Work } from '../../src/workers/pool.ts'
import { Bench, jsonOf, rowsRequest, TIMEOUTS, valuesOf } from '../support/local-models.ts'
import { ManualClock } from '../support/manual-clock.ts'

const ECHO = `
export function score({ x }) {
  if (x.data.length > 1) return { y: x }
  const data = Float32Array.from(x.data, Number)
  if (data[0] === 13) data.join = () => { throw new Error('cannot be written') }
  return { y: { datatype: 'FP32', shape: [1], data } }
}`

async function echo(): Promise<Bench> {
  const bench = new Bench()
  const file = join(bench.folder, 'echo.mjs')
  writeFileSync(file, ECHO)
  await bench.start({ v1: file })
  return bench
}

t.test('a hostile body fails nobody else in its batch, and no thread', async (t) => {
  const bench = await echo()
  t.teardown(() => bench.close())
  const long = '{"name":"x","datatype":"INT64","shape":[1],"data":[9007199254740993]}'
  const bodies = [
    Buffer.from(JSON.stringify(rowsRequest([[1]]))),
    Buffer.from(`{"id":"${'\\n'.repeat(4_100_000)}","inputs":[${long}]}`),
    Buffer.from(`{"inputs":[${long.replace(']}', `,${'9'.repeat(500_000)}]}`).replace('[1]', '[2]')}]}`),
    Buffer.from(JSON.stringify(rowsRequest([[2]]))),
  ]
  const results = await Promise.all(bodies.map((body) => bench.infer('v1', body)))
  t.same(valuesOf(results[0]!), [1])
  t.same(valuesOf(results[1]!), [2 ** 53])
  t.match(results[2]!.fault, { code: 'bad-tensor' })
  t.same(valuesOf(results[3]!), [2])
  t.equal(bench.scorer.pool.deaths, 0)
})

t.test('an answer that cannot be written is the fault of its own request', async (t) => {
  const bench = await echo()
  t.teardown(() => bench.close())
  const results = await Promise.all([1, 13, 2].map((value) => bench.infer('v1', rowsRequest([[value]]))))
  t.same(valuesOf(results[0]!), [1])
  t.match(results[1]!.fault, {
    code: 'scoring-failed',
    message: 'what the model gave cannot be written as an answer',
    detail: 'cannot be written',
  })
  t.same(valuesOf(results[2]!), [2])
})

t.test('a request whose time was up before the model ran is told whose limit it was', async (t) => {
  const bench = await echo()
  t.teardown(() => bench.close())
  const { scorer } = bench
  const queue = new VersionQueue(bench.version('v1'))
  const clock = new ManualClock()
  const results: AttemptResult[] = []
  const jobs = [
    { timeouts: TIMEOUTS, deadlineAt: clock.now() + 5 },
    { timeouts: { ...TIMEOUTS, firstByteMs: 5 }, deadlineAt: Number.POSITIVE_INFINITY },
    { timeouts: { ...TIMEOUTS, totalMs: 5 }, deadlineAt: Number.POSITIVE_INFINITY },
    { timeouts: TIMEOUTS, deadlineAt: Number.POSITIVE_INFINITY },
  ].map(
    (limits, index) =>
      new Job({
        body: Buffer.from(JSON.stringify(rowsRequest([[index]]))),
        jsonLength: -1,
        limits,
        startedAt: clock.now(),
        // Its clock stands still, so only the thread can find a request late.
        sweep: new Sweep(clock),
        done: (result) => results.push(result),
        leave: () => {},
        starved: () => false,
      }),
  )
  const task = batchOf(queue.source, jobs, clock.now() + 10)
  await new Promise<void>((resolve) => {
    let work: Work | null = {
      task: 'score',
      message: task,
      transfer: [task.bytes],
      killAt: Number.POSITIVE_INFINITY,
      isNative: true,
      done: (result) => {
        settleBatch(jobs, result as ScoreResult, clock.now())
        resolve()
      },
      died: () => resolve(),
    }
    scorer.pool.serve({
      take: () => {
        const taken = work
        work = null
        return taken
      },
    })
    scorer.pool.wake()
  })
  const told = new Map(results.map((result) => [result.fault?.code ?? 'answered', result]))
  t.same([...told.keys()].sort(), ['answered', 'deadline-exceeded', 'first-byte-timeout', 'total-timeout'])
  t.same(jsonOf(told.get('answered')!).model_version, 'v1')
  for (const job of jobs) job.cancel()
})
