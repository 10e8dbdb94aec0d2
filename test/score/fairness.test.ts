/** One version that is asked too much, beside another: what they share is the threads and the line for them. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Bench, rowsRequest } from '../support/local-models.ts'

/** Takes 20 ms a request, each alone. */
const SLOW = `
export const metadata = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
}
export function score({ x }) {
  const end = Date.now() + 20; while (Date.now() < end);
  return { y: { datatype: 'FP32', shape: [1, 1], data: new Float32Array([x.data[0]]) } }
}`

async function twoVersions(t: Test, queueMax: number) {
  const bench = new Bench()
  t.teardown(() => bench.close())
  const files = Object.fromEntries(
    ['greedy', 'modest'].map((name) => [name, join(bench.folder, `${name}.mjs`)]),
  )
  for (const file of Object.values(files)) writeFileSync(file, SLOW)
  await bench.start(files, { queueMax })
  const told: string[] = []
  const ask = async (name: string) => {
    const { fault } = await bench.infer(name, rowsRequest([[1]]))
    told.push(name)
    return fault
  }
  return { bench, told, ask }
}

t.test('a version with a long line does not make another wait for its end', async (t) => {
  const { told, ask, bench } = await twoVersions(t, 256)
  t.same([await ask('greedy'), await ask('modest')], [null, null], 'what one takes is known')
  const greedy = Array.from({ length: 40 }, () => ask('greedy'))
  const rounds: number[] = []
  for (let round = 0; round < 3; round += 1) {
    const before = bench.scorer.waiting
    t.equal(await ask('modest'), null)
    rounds.push(before - bench.scorer.waiting)
  }
  t.ok(told.filter((name) => name === 'greedy').length < 30, `the long line is not done yet: ${told}`)
  t.ok(Math.max(...rounds) <= 5, `it waits for the batch that is out, and for none behind it: ${rounds}`)
  await Promise.all(greedy)
})

t.test('a version takes of the line no more than it leaves free to others', async (t) => {
  const { ask, bench } = await twoVersions(t, 8)
  const first = ask('greedy')
  await new Promise((resolve) => setTimeout(resolve, 10))
  const greedy = Array.from({ length: 8 }, () => ask('greedy'))
  t.equal(bench.scorer.waiting, 4)
  const modest = [ask('modest'), ask('modest')]
  t.equal(bench.scorer.waiting, 6, 'there is room for another')
  const faults = await Promise.all([first, ...greedy])
  t.equal(faults.filter((fault) => fault?.code === 'scoring-queue-full').length, 4)
  t.match(
    faults.find((fault) => fault !== null)?.message,
    'scoring.queue is full: 4 requests are waiting, 4 of them for this version, and the rest is for others',
  )
  t.same(await Promise.all(modest), [null, null])
})
