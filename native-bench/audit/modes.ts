/**
 * What it costs to record decisions, by mode: the gateway in each of them and one that records nothing, in paired blocks
 * of random order, with as many requests as it takes and at fixed rates. All threads of a gateway are on one core, so
 * `capacity` is what recording takes of a core's throughput, the writer's part included.
 */
import { join } from 'node:path'
import type { AuditMode } from '../../src/domain/routes.ts'
import { startGateway } from '../rig/gateway-peer.ts'
import type { Ran } from '../rig/load.ts'
import type { Measured } from '../rig/paired.ts'
import { ENTRIES } from '../rig/rig.ts'
import { startServed } from '../rig/served.ts'
import { estimate } from '../rig/statistics.ts'
import type { PairedWork, Part, Stage } from '../rig/work.ts'

const MODES: readonly AuditMode[] = ['best-effort', 'batched', 'durable']
const WITHOUT = 'no records'
const CONNECTIONS = 64

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

const parts: readonly Part[] = [
  {
    name: WITHOUT,
    isCompiledLate: true,
    start: ({ values }: Stage) =>
      startServed({
        name: WITHOUT,
        values,
        configuration: configurationOf('batched'),
        command: [process.execPath, join(ENTRIES, 'audit/serve-without-records.js'), '{{CONFIG}}'],
        saysPort: true,
      }),
  },
  ...MODES.map(
    (mode): Part => ({
      name: mode,
      isCompiledLate: true,
      start: ({ tree, values }: Stage) =>
        startGateway({ name: mode, tree, values, configuration: configurationOf(mode) }),
    }),
  ),
]

const asked = `path=/models/bench/infer connections=${CONNECTIONS}`

export const MODES_WORK: PairedWork = {
  kind: 'paired',
  name: 'modes',
  title: 'recording, by audit.mode',
  parts,
  points: [
    { name: 'capacity', words: `${asked} rate=0` },
    { name: '2,000/s', words: `${asked} rate=2000` },
    { name: '5,000/s', words: `${asked} rate=5000` },
  ],
  pairs: MODES.map((held) => ({ held, against: WITHOUT })),
}

/** Of one point: each mode against no records, block by block. Disturbed blocks count where there are no others. */
export function modesTold({ point, blocks }: Measured): object {
  const quiet = blocks.filter(({ isDisturbed }) => !isDisturbed)
  const counted = quiet.length > 0 ? quiet : blocks
  const of = (name: string, value: (ran: Ran) => number) =>
    counted.map(({ windows }) => value(windows.get(name)!))
  const compare = (name: string, value: (ran: Ran) => number, how: (one: number, other: number) => number) =>
    estimate(of(name, value).map((one, index) => how(one, of(WITHOUT, value)[index]!)))
  const told = MODES.map((mode) => [
    mode,
    {
      ...(point.name === 'capacity'
        ? {
            throughputTimes: compare(
              mode,
              ({ perSecond }) => perSecond,
              (one, other) => one / other,
            ),
          }
        : {
            p50AddedUs: compare(
              mode,
              ({ latency }) => latency.p50,
              (one, other) => one - other,
            ),
            p99AddedUs: compare(
              mode,
              ({ latency }) => latency.p99,
              (one, other) => one - other,
            ),
          }),
      cpuTimes: compare(
        mode,
        ({ cpuNs, answered }) => cpuNs / answered,
        (one, other) => one / other,
      ),
    },
  ])
  const blocksTold = { measured: blocks.length, quiet: quiet.length, counted: counted.length }
  return { point: point.name, blocks: blocksTold, against: WITHOUT, ...Object.fromEntries(told) }
}
