/**
 * CPU per MiB of large bodies: the gateway against nginx with tuned buffers, in paired blocks of random order; every
 * thread of every process counted, and the gateway's lane by itself. Prints one JSON document; `--out FILE`
 * keeps it. See README.md for the method.
 */
import { parseArgs } from 'node:util'
import { startBarePeer } from './rig/bare-peer.ts'
import { pause } from './rig/bench-process.ts'
import type { Contender } from './rig/contender.ts'
import { busiestBetween, cpuTime, disturbance, spentBetween } from './rig/cpu-time.ts'
import { startGatewayPeer } from './rig/gateway-peer.ts'
import { machine } from './rig/machine.ts'
import type { RequestTimes, Target } from './rig/messages.ts'
import { type NginxManner, nginxVersion, startNginxPeer } from './rig/nginx-peer.ts'
import { type Rig, ROOT, report, withRig } from './rig/rig.ts'
import { estimate, shuffled, spread } from './rig/statistics.ts'

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '20' },
    requests: { type: 'string', default: '150' },
    connections: { type: 'string', default: '8' },
    peers: { type: 'string', default: 'buffered,passing,bare' },
    shapes: { type: 'string', default: 'request,answer,both' },
    against: { type: 'string' },
    tree: { type: 'string', default: ROOT },
    out: { type: 'string' },
  },
})
const blocks = Number(values.blocks)
const requests = Number(values.requests)
const connections = Number(values.connections)

const MIB = 1024 * 1024
const SMALL = 16
/** A process that serves is long compiled. */
const WARM = { requests: 1_500, isVerified: false }
/** For work that goes on behind an answer: digests and records. */
const SETTLE_MS = 60

interface Shape {
  readonly name: string
  readonly sent: number
  readonly received: number
}

const SHAPES: readonly Shape[] = [
  { name: 'request 1 MiB', sent: MIB, received: SMALL },
  { name: 'answer 1 MiB', sent: SMALL, received: MIB },
  { name: 'both 1 MiB', sent: MIB, received: MIB },
].filter(({ name }) => values.shapes.split(',').some((word) => name.startsWith(word)))

/** µs of CPU per MiB moved, block by block. */
interface Cost {
  readonly all: number[]
  readonly lane: number[]
  readonly perSecond: number[]
}

type Costs = Map<string, Cost>

function targetOf(contender: Contender, { sent, received }: Shape): Target {
  const path = `${contender.prefix}/bytes/${received}`
  const headers = ['content-type: application/octet-stream']
  return { port: contender.port, method: 'POST', path, headers, body: sent }
}

function ask(rig: Rig, contender: Contender, shape: Shape, more: { requests: number; isVerified: boolean }) {
  const target = targetOf(contender, shape)
  const width = more.isVerified ? 1 : connections
  return rig.client.ask('requests', {
    kind: 'requests',
    target,
    connections: width,
    ratePerSecond: 0,
    ...more,
  })
}

/** The thread that does the work of requests without bodies. */
async function laneOf(rig: Rig, contender: Contender): Promise<number> {
  const before = cpuTime(contender.processes())
  await ask(rig, contender, { name: '', sent: SMALL, received: SMALL }, { requests: 3000, isVerified: false })
  return busiestBetween(before, cpuTime(contender.processes()))
}

async function measureBlock(rig: Rig, contender: Contender, shape: Shape, lane: number) {
  const before = cpuTime(contender.processes())
  const times: RequestTimes = await ask(rig, contender, shape, { requests, isVerified: false })
  await pause(SETTLE_MS)
  const after = cpuTime(contender.processes())
  const mib = (requests * (shape.sent + shape.received)) / MIB
  return {
    all: spentBetween(before, after) / 1000 / mib,
    lane: ((after.get(lane) ?? 0) - (before.get(lane) ?? 0)) / 1000 / mib,
    perSecond: mib / times.seconds,
  }
}

/** The same bytes must come out on both sides of every contender before any of them is timed. */
async function verify(rig: Rig): Promise<void> {
  for (const shape of SHAPES) {
    const digests = new Set<string>()
    for (const contender of rig.contenders) {
      const { digest } = await ask(rig, contender, shape, { requests: 1, isVerified: true })
      digests.add(digest)
    }
    if (digests.size !== 1) throw new Error(`${shape.name}: not everybody moves the same bytes`)
  }
}

/** `bare`, `bare-512` (KiB a read), or a manner of nginx. */
function startPeer(word: string, endpointPort: number): Promise<Contender | undefined> {
  const [name, readKib = '192'] = word.split('-')
  if (name === 'bare') return startBarePeer(endpointPort, Number(readKib))
  return startNginxPeer(word as NginxManner, endpointPort)
}

async function measure(rig: Rig): Promise<Map<string, Costs>> {
  const { endpointPort } = rig
  const start = (name: string, tree: string) =>
    startGatewayPeer({ name, tree, endpointPort, speaksOpenai: false })
  rig.contenders.push(await start('gateway', values.tree))
  if (values.against !== undefined) rig.contenders.push(await start('gateway before', values.against))
  for (const word of values.peers.split(',').filter((word) => word !== '')) {
    const peer = await startPeer(word, endpointPort)
    if (peer !== undefined) rig.contenders.push(peer)
  }
  await verify(rig)
  const lanes = new Map<string, number>()
  for (const contender of rig.contenders) lanes.set(contender.name, await laneOf(rig, contender))
  const results = new Map<string, Costs>()
  for (const shape of SHAPES) {
    const costs: Costs = new Map(
      rig.contenders.map(({ name }) => [name, { all: [], lane: [], perSecond: [] }]),
    )
    for (const contender of rig.contenders) await ask(rig, contender, shape, WARM)
    for (let block = 0; block < blocks; block += 1) {
      for (const contender of shuffled(rig.contenders)) {
        const cost = await measureBlock(rig, contender, shape, lanes.get(contender.name)!)
        const kept = costs.get(contender.name)!
        kept.all.push(cost.all)
        kept.lane.push(cost.lane)
        kept.perSecond.push(cost.perSecond)
      }
    }
    results.set(shape.name, costs)
  }
  return results
}

function told(costs: Costs): object {
  const gateway = costs.get('gateway')!
  const ratios = (mine: readonly number[], theirs: readonly number[]) =>
    estimate(mine.map((cost, index) => cost / theirs[index]!))
  return Object.fromEntries(
    [...costs].map(([name, cost]) => [
      name,
      {
        cpuPerMib: estimate(cost.all),
        laneCpuPerMib: estimate(cost.lane),
        mibPerSecond: spread(cost.perSecond).p50,
        ...(name === 'gateway'
          ? {}
          : {
              gatewayIsTimes: ratios(gateway.all, cost.all),
              // Of another gateway the lane is the peer; of nginx all there is.
              itsLaneIsTimes: ratios(gateway.lane, cost.lane),
            }),
      },
    ]),
  )
}

const before = disturbance()
const results = await withRig({ events: 1, everyMs: 1, eventBytes: 250 }, measure)
report(
  {
    what: 'CPU per MiB of large bodies, µs, all threads; the bytes of requests and answers both count',
    machine: machine(ROOT),
    method: { blocks, requests, connections, peer: values.peers === '' ? 'none' : nginxVersion() },
    disturbance: { before, after: disturbance() },
    shapes: Object.fromEntries([...results].map(([name, costs]) => [name, told(costs)])),
  },
  values.out,
)
