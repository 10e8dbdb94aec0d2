/**
 * What a small request costs: CPU of all threads and of the lane, latency, and how many connections to the endpoint
 * it took; this tree against another one (`--against TREE`), in paired blocks of random order. Prints one
 * JSON document; `--out FILE` keeps it. See README.md for the method.
 */
import { parseArgs } from 'node:util'
import { startBarePeer } from './rig/bare-peer.ts'
import { pause } from './rig/bench-process.ts'
import type { Contender } from './rig/contender.ts'
import { busiestBetween, cpuTime, disturbance, spentBetween } from './rig/cpu-time.ts'
import { startGatewayPeer } from './rig/gateway-peer.ts'
import { commitOf, machine } from './rig/machine.ts'
import { startNginxPeer } from './rig/nginx-peer.ts'
import { type Rig, ROOT, report, withRig } from './rig/rig.ts'
import { estimate, shuffled, spread } from './rig/statistics.ts'

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '20' },
    requests: { type: 'string', default: '5000' },
    connections: { type: 'string', default: '64' },
    'answer-bytes': { type: 'string', default: '300' },
    rate: { type: 'string', default: '0' },
    against: { type: 'string' },
    peers: { type: 'string', default: '' },
    tree: { type: 'string', default: ROOT },
    out: { type: 'string' },
  },
})
const blocks = Number(values.blocks)
const requests = Number(values.requests)
const connections = Number(values.connections)
const ratePerSecond = Number(values.rate)
const SETTLE_MS = 30
const BODY = JSON.stringify({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 8], data: [1, 2, 3, 4, 5, 6, 7, 8] }],
})

interface Cost {
  readonly all: number[]
  readonly lane: number[]
  readonly p50: number[]
  readonly p99: number[]
  readonly perSecond: number[]
  opened: number
  carried: number
}

const emptyCost = (): Cost => ({ all: [], lane: [], p50: [], p99: [], perSecond: [], opened: 0, carried: 0 })

function ask(rig: Rig, { port, prefix }: Contender) {
  const path = `${prefix}/bytes/${values['answer-bytes']}`
  const headers = ['content-type: application/json', 'user-agent: bench']
  const target = { port, method: 'POST' as const, path, headers, body: BODY }
  return rig.client.ask('requests', {
    kind: 'requests',
    target,
    connections,
    requests,
    ratePerSecond,
    isVerified: false,
  })
}

async function measure(rig: Rig): Promise<Map<string, Cost>> {
  const { endpointPort } = rig
  const start = (name: string, tree: string) =>
    startGatewayPeer({ name, tree, endpointPort, speaksOpenai: false })
  rig.contenders.push(await start('gateway', values.tree))
  if (values.against !== undefined) rig.contenders.push(await start('against', values.against))
  const peers = values.peers.split(',')
  if (peers.includes('bare')) rig.contenders.push(await startBarePeer(endpointPort, 192))
  const nginx = peers.includes('nginx') ? await startNginxPeer('default', endpointPort) : undefined
  if (nginx !== undefined) rig.contenders.push(nginx)
  const lanes = new Map<string, number>()
  for (const contender of rig.contenders) {
    const before = cpuTime(contender.processes())
    await ask(rig, contender)
    await ask(rig, contender)
    lanes.set(contender.name, busiestBetween(before, cpuTime(contender.processes())))
  }
  await rig.endpoint.ask('counted', { kind: 'count' })
  const costs = new Map(rig.contenders.map(({ name }) => [name, emptyCost()]))
  for (let block = 0; block < blocks; block += 1) {
    for (const contender of shuffled(rig.contenders)) {
      await measureBlock(rig, contender, costs.get(contender.name)!, lanes.get(contender.name)!)
    }
  }
  return costs
}

async function measureBlock(rig: Rig, contender: Contender, cost: Cost, lane: number): Promise<void> {
  const before = cpuTime(contender.processes())
  const times = await ask(rig, contender)
  await pause(SETTLE_MS)
  const after = cpuTime(contender.processes())
  const counted = await rig.endpoint.ask('counted', { kind: 'count' })
  cost.all.push(spentBetween(before, after) / 1000 / requests)
  cost.lane.push(((after.get(lane) ?? 0) - (before.get(lane) ?? 0)) / 1000 / requests)
  cost.p50.push(times.p50)
  cost.p99.push(times.p99)
  cost.perSecond.push(requests / times.seconds)
  cost.opened += counted.connections
  cost.carried += counted.requests
}

function told(costs: Map<string, Cost>): object {
  const mine = costs.get('gateway')!
  const ratio = (key: 'all' | 'lane' | 'p50', cost: Cost) =>
    estimate(mine[key].map((value, index) => value / cost[key][index]!))
  return Object.fromEntries(
    [...costs].map(([name, cost]) => [
      name,
      {
        cpuPerRequest: estimate(cost.all),
        laneCpuPerRequest: estimate(cost.lane),
        latencyP50: estimate(cost.p50),
        latencyP99: estimate(cost.p99),
        requestsPerSecond: spread(cost.perSecond).p50,
        endpointConnections: {
          opened: cost.opened,
          requests: cost.carried,
          reused: 1 - cost.opened / cost.carried,
        },
        ...(name === 'gateway'
          ? {}
          : {
              gatewayIsTimes: ratio('all', cost),
              itsLaneIsTimes: ratio('lane', cost),
              itsP50IsTimes: ratio('p50', cost),
            }),
      },
    ]),
  )
}

const before = disturbance()
const costs = await withRig({ events: 1, everyMs: 1, eventBytes: 250 }, measure)
report(
  {
    what: 'small requests: CPU µs per request, latency µs, connections to the endpoint',
    machine: machine(ROOT),
    against: values.against === undefined ? 'nothing' : commitOf(values.against),
    method: {
      blocks,
      requests,
      connections,
      ratePerSecond,
      requestBytes: BODY.length,
      answerBytes: Number(values['answer-bytes']),
    },
    disturbance: { before, after: disturbance() },
    contenders: told(costs),
  },
  values.out,
)
