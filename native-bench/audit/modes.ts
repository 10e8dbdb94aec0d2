/**
 * What it costs to record decisions, by mode, in paired blocks of random order. `durable` and `batched` are held against
 * `best-effort`, which is what the log promises of them; all three against a gateway whose lanes record nothing, which is
 * what recording costs at all.
 *
 * On one core the threads of a gateway share it, so a mode's throughput is what the lane and the writer do for a request
 * together. On all cores the writer finds another one, as it does in production; the generator is there, too.
 */
import { join } from 'node:path'
import type { AuditMode } from '../../src/domain/routes.ts'
import { type Core, MEASURED_CORE } from '../rig/bench-process.ts'
import { startGateway } from '../rig/gateway-peer.ts'
import type { Ran } from '../rig/load.ts'
import type { Measured } from '../rig/paired.ts'
import { ENTRIES } from '../rig/rig.ts'
import { startServed } from '../rig/served.ts'
import { type Estimate, estimate } from '../rig/statistics.ts'
import type { Pair, PairedWork, Part, Point, Stage } from '../rig/work.ts'

const MODES: readonly AuditMode[] = ['best-effort', 'batched', 'durable']
const WITHOUT = 'no records'
const CONNECTIONS = 64
const CAPACITY = 'capacity'

const PAIRS: readonly Pair[] = [
  { held: 'batched', against: 'best-effort' },
  { held: 'durable', against: 'best-effort' },
  ...MODES.map((held) => ({ held, against: WITHOUT })),
]

function configurationOf(mode: AuditMode): string {
  return `[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
data_dir = "data"
[audit]
mode = "${mode}"
[models.bench]
protocol = "raw"
timeouts = { queue = "5s", connect = "5s", first_byte = "30s", total = "60s" }
[models.bench.versions.v1]
endpoints = ["http://127.0.0.1:{{FIRST}}"]
`
}

function partsOn(core: Core): readonly Part[] {
  const without: Part = {
    name: WITHOUT,
    isCompiledLate: true,
    start: ({ values }: Stage) =>
      startServed({
        name: WITHOUT,
        values,
        core,
        configuration: configurationOf('batched'),
        command: [process.execPath, join(ENTRIES, 'audit/serve-without-records.js'), '{{CONFIG}}'],
        saysPort: true,
      }),
  }
  const modes = MODES.map(
    (mode): Part => ({
      name: mode,
      isCompiledLate: true,
      start: ({ tree, values }: Stage) =>
        startGateway({ name: mode, tree, values, core, configuration: configurationOf(mode) }),
    }),
  )
  return [without, ...modes]
}

const asked = `path=/models/bench/infer connections=${CONNECTIONS}`
const capacity: Point = { name: CAPACITY, words: `${asked} rate=0` }
const paced = (rate: number): Point => ({
  name: `${rate.toLocaleString('en')}/s`,
  words: `${asked} rate=${rate}`,
})

const work = (name: string, title: string, core: Core, points: readonly Point[]): PairedWork => ({
  ...{ kind: 'paired', name, title, points },
  parts: partsOn(core),
  pairs: PAIRS,
})

export const MODES_WORKS: readonly PairedWork[] = [
  work('one core', 'recording, by audit.mode, all threads on one core', MEASURED_CORE, [capacity]),
  work('all cores', 'recording, by audit.mode, on all cores', 'all', [capacity, paced(2000), paced(5000)]),
]

const RATIO = (one: number, other: number): number => one / other
const DIFFERENCE = (one: number, other: number): number => one - other

/** Of one point: each pair, block by block. Disturbed blocks count where there are no others. */
export function modesTold({ point, blocks }: Measured, threads: string): object {
  const quiet = blocks.filter(({ isDisturbed }) => !isDisturbed)
  const counted = quiet.length > 0 ? quiet : blocks
  const pairs = PAIRS.map(({ held, against }) => {
    const compare = (value: (ran: Ran) => number, how: typeof RATIO): Estimate =>
      estimate(counted.map(({ windows }) => how(value(windows.get(held)!), value(windows.get(against)!))))
    const speed =
      point.name === CAPACITY
        ? { throughputTimes: compare(({ perSecond }) => perSecond, RATIO) }
        : {
            p50AddedUs: compare(({ latency }) => latency.p50, DIFFERENCE),
            p99AddedUs: compare(({ latency }) => latency.p99, DIFFERENCE),
          }
    return { held, against, ...speed, cpuTimes: compare(({ cpuNs, answered }) => cpuNs / answered, RATIO) }
  })
  const blocksTold = { measured: blocks.length, quiet: quiet.length, counted: counted.length }
  return { point: point.name, threads, blocks: blocksTold, pairs }
}
