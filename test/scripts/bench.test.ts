/**
 * What the figures of `npm run bench` rest on: the generator sees every byte and counts what it says it counts, and
 * verdicts claim no more than their intervals.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { compiledPrograms } from '../../native-bench/rig/compiled.ts'
import { Histogram } from '../../native-bench/rig/histogram.ts'
import { Kept } from '../../native-bench/rig/kept.ts'
import { Load } from '../../native-bench/rig/load.ts'
import { startServed } from '../../native-bench/rig/served.ts'
import type { Estimate } from '../../native-bench/rig/statistics.ts'
import type { PointSummary } from '../../native-bench/rig/summary.ts'
import { compareWith, judgeTargets } from '../../native-bench/rig/verdict.ts'

const programs = compiledPrograms()
const skip = typeof programs === 'string' ? `NOT RUN: ${programs}` : false

t.test('the generator and its endpoint', { skip }, async (t) => {
  if (typeof programs === 'string') return
  const [load, [port = 0]] = await Load.start(programs.load, ['0'])
  t.teardown(() => load.end())

  await t.test('times every request of an open loop, and both ends compare every byte', async (t) => {
    const words = `to=${port} rate=2000 seconds=0.3 warm=0 body=3000 answer=70000 verify=1 connections=8`
    const ran = await load.run(words)
    t.equal(ran.problem, '')
    t.equal(ran.wrongBody, 0)
    t.equal(ran.latency.count, ran.sent)
    t.ok(ran.sent > 400 && ran.sent < 800, `2000 a second for 0.3 s: ${ran.sent}`)
    t.equal(ran.endpoints[0]?.requests, ran.sent)
    t.equal(ran.endpoints[0]?.wrongBodies, 0)
    const histogram = Histogram.of([ran.latency])
    t.equal(histogram.count, ran.sent)
    t.ok(Math.abs(histogram.quantile(0.5) - ran.latency.p50) <= 0.1, 'both read the same buckets alike')
    t.ok(Math.abs(histogram.quantile(0.99) - ran.latency.p99) <= 0.1)
  })

  await t.test('charges a slow endpoint with everybody it makes wait', async (t) => {
    // One connection at 20 ms carries 50 a second: of 200 asked for, most wait longer and longer.
    const ran = await load.run(`to=${port} rate=200 seconds=0.5 warm=0 connections=1 delay-us=20000`)
    t.ok(ran.latency.max > 300_000, `the last has waited for ${ran.latency.max} µs, not for 20,000`)
    t.ok(ran.starved > 50)
  })

  await t.test('finds every event of streams that are cut anywhere', async (t) => {
    const ran = await load.run(`to=${port} rate=0 seconds=0.2 warm=0 connections=4 events=16 every-us=1000`)
    t.equal(ran.problem, '')
    t.ok(ran.answered > 0)
    t.ok((ran.events ?? 0) >= ran.answered * 16)
  })

  await t.test('tells a changed body, another status and a connection that breaks', async (t) => {
    t.match(
      (await load.run(`to=${port} rate=100 seconds=0.1 warm=0 status=503 expect=200`)).problem,
      /status 503/,
    )
    t.match((await load.run(`to=1 rate=100 seconds=0.1 warm=0`)).problem, /refused/)
  })

  await t.test('the floor passes large bodies on, whole, both ways', async (t) => {
    const command = [programs.floor, '0', String(port)]
    const floor = await startServed({ name: 'floor', command, saysPort: true })
    t.teardown(() => floor.stop())
    const words = `rate=0 seconds=0.3 warm=0 connections=4 body=1048576 answer=1048576 verify=1`
    const ran = await load.run(`to=${floor.port} ${words} pids=${floor.processes().join(',')}`)
    t.equal(ran.problem, '')
    t.ok(ran.answered > 0)
    t.equal(ran.endpoints[0]?.wrongBodies, 0)
    t.ok(ran.cpuNs > 0, 'its CPU time is seen')
    t.ok(ran.cpuNs < ran.seconds * 2e9)
  })
})

const around = (median: number, spread: number): Estimate => ({
  median,
  low: median - spread,
  high: median + spread,
  blocks: 8,
})

function summary(ratio: Estimate, isDisturbed = false): PointSummary {
  const pair = { held: 'gateway', against: 'nginx', cpu: ratio, busiestThread: ratio, perSecond: ratio }
  return {
    kind: 'paired',
    work: 'shadow',
    point: 'saturation',
    unit: 'request',
    blocks: 8,
    setAside: 0,
    isDisturbed,
    parts: {},
    pairs: [pair],
  }
}

t.test('a verdict is given only where the whole interval is on one side', async (t) => {
  const verdict = (one: PointSummary): string | undefined =>
    judgeTargets([one]).find(({ what }) => what.startsWith('split'))?.verdict
  t.equal(verdict(summary(around(0.5, 0.04))), 'met')
  t.equal(verdict(summary(around(0.5, 0.06))), 'undecided')
  t.equal(verdict(summary(around(0.7, 0.1))), 'missed')
  t.equal(verdict(summary(around(0.5, 0.01), true)), 'undecided', 'a disturbed machine proves nothing')
  t.equal(judgeTargets([])[0]?.verdict, 'not measured')
})

t.test('the baseline is beaten or missed only beyond both intervals', async (t) => {
  const verdict = (was: Estimate, is: Estimate): string | undefined =>
    compareWith([summary(was)], [summary(is)])[0]?.verdict
  t.equal(verdict(around(1, 0.05), around(1.2, 0.05)), 'worse')
  t.equal(verdict(around(1, 0.05), around(0.8, 0.05)), 'better')
  t.equal(verdict(around(1, 0.05), around(1.08, 0.05)), 'the same, as far as can be told')
  t.equal(
    compareWith([], [summary(around(1, 0.1))]).length,
    0,
    'what is in no baseline is compared with nothing',
  )
})

t.test('an interrupted measurement goes on, but never with that of another build', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'modelgate-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, 'kept.json')
  new Kept(file, 'this build', false).add(summary(around(1, 0.1)))
  t.ok(new Kept(file, 'this build', false).has('shadow', 'saturation'))
  t.notOk(new Kept(file, 'another build', false).has('shadow', 'saturation'))
  t.notOk(new Kept(file, 'this build', true).has('shadow', 'saturation'), 'unless it is told to begin afresh')
})
