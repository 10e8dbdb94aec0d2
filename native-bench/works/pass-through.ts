/** The plainest work: a request in, the same request on, its answer back. */
import { direct } from '../rig/contender.ts'
import { floor, gateway, gatewayAgainst, haproxy, nginx } from '../rig/parts.ts'
import type { PairedWork, Point } from '../rig/work.ts'

const RAW = 'path=/models/bench/score'
const V2 = 'path=/v2/models/bench/infer'
const SIZES = [
  ['0.1 KB', 100],
  ['1 KB', 1024],
  ['16 KB', 16384],
] as const
const RATES = [2000, 10_000, 20_000, 0]
/** As many as the plan says: a verdict is made of these points. */
const BLOCKS_OF_PROMISES = Number.POSITIVE_INFINITY
/** Added latency is promised at this rate. */
const PROMISED_RATE = 5000

function point(size: string, bytes: number, rate: number, blocksMax = 4): Point {
  const at = rate === 0 ? 'saturation' : `${rate / 1000}k/s`
  return {
    name: `${size}, ${at}`,
    words: `rate=${rate} body=${bytes} answer=${bytes} connections=64`,
    blocksMax,
  }
}

export const passThrough: PairedWork = {
  kind: 'paired',
  name: 'pass-through',
  title: 'Pass-through, records and histograms on',
  parts: [
    gateway('gateway', 'gateway-pass.toml', RAW),
    gatewayAgainst('gateway', 'gateway-pass.toml', RAW),
    gateway('gateway, unix: and pipelined', 'gateway-pipelined.toml', V2),
    gatewayAgainst('gateway, unix: and pipelined', 'gateway-pipelined.toml', V2),
    haproxy('haproxy-pass.cfg'),
    nginx('nginx-pass.conf'),
    floor(),
    { name: 'direct', start: async ({ values }) => direct(Number(values.FIRST)) },
  ],
  points: [
    point('0.1 KB', 100, 0, BLOCKS_OF_PROMISES),
    point('0.1 KB', 100, PROMISED_RATE, BLOCKS_OF_PROMISES),
    ...SIZES.flatMap(([size, bytes]) =>
      RATES.filter((rate) => rate !== 0 || bytes !== 100).map((rate) => point(size, bytes, rate)),
    ),
  ],
  pairs: [
    { held: 'gateway', against: 'haproxy' },
    { held: 'gateway', against: 'nginx' },
    { held: 'gateway', against: 'floor' },
    { held: 'gateway, unix: and pipelined', against: 'haproxy' },
    { held: 'haproxy', against: 'floor' },
    { held: 'nginx', against: 'floor' },
    { held: 'gateway', against: 'gateway (against)' },
    { held: 'gateway, unix: and pipelined', against: 'gateway, unix: and pipelined (against)' },
  ],
}
