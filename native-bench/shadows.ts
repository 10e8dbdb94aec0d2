/**
 * Whether a shadow moves the latency of the requests it copies: models with a shadow of every bad manner, with a
 * well-behaved one and with none, in paired blocks of random order, at a fixed rate of random arrivals. Prints
 * one JSON document; `--out FILE` keeps it. See README.md for the method.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { BenchProcess, makeRealtime, pause } from './rig/bench-process.ts'
import { disturbance, Quiet } from './rig/cpu-time.ts'
import { startGatewayPeer } from './rig/gateway-peer.ts'
import { machine } from './rig/machine.ts'
import { type ArrivalTimes, type FromShadows, SHADOW_MANNERS } from './rig/messages.ts'
import { ENTRIES, type Rig, ROOT, report, withRig } from './rig/rig.ts'
import { estimate, quantile, shuffled, sortedCopy, spread } from './rig/statistics.ts'

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '30' },
    rate: { type: 'string', default: '1000' },
    requests: { type: 'string', default: '1500' },
    lead: { type: 'string', default: '300' },
    connections: { type: 'string', default: '64' },
    manners: { type: 'string', default: SHADOW_MANNERS.join(',') },
    'others-max': { type: 'string', default: '2' },
    realtime: { type: 'boolean', default: false },
    tree: { type: 'string', default: ROOT },
    out: { type: 'string' },
  },
})
const blocks = Number(values.blocks)
const ratePerSecond = Number(values.rate)
const requests = Number(values.requests)
/** Requests at the beginning of a block that are not counted: how a shadow is found to be bad is not the question. */
const lead = Number(values.lead)
const connections = Number(values.connections)
const othersShareMax = Number(values['others-max'])
const manners = SHADOW_MANNERS.filter((manner) => values.manners.split(',').includes(manner))

const SHADOW_TIMEOUT_MS = 250
/** Between blocks, so that what is left of one shadow ends before the next model is asked. */
const SETTLE_MS = SHADOW_TIMEOUT_MS + 100
/** A process that serves is long compiled. */
const WARM_ROUNDS = 3
const NONE = 'no shadow'
/** A second one of the same: how far apart equals are here. */
const CONTROL = 'no shadow, again'
const DATA = Array.from({ length: 160 }, (_, index) => index / 8)
const BODY = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 160], data: DATA }] })

const contenders = [NONE, CONTROL, ...manners]
const modelOf = (contender: string): string => `m${contenders.indexOf(contender)}`

function configuration(endpointPort: number, ports: ReadonlyMap<string, number>): string {
  return contenders
    .map((contender) => {
      const port = ports.get(contender)
      const name = modelOf(contender)
      const shadow = `[models.${name}.versions.shadow]
endpoints = ["http://127.0.0.1:${port}"]
[models.${name}.route]
primary = "live"
shadows = [{ version = "shadow", percent = 100, timeout = "${SHADOW_TIMEOUT_MS}ms" }]
`
      return `
[models.${name}]
timeouts = { queue = "5s", connect = "5s", first_byte = "30s", total = "60s" }
[models.${name}.versions.live]
endpoints = ["http://127.0.0.1:${endpointPort}"]
${port === undefined ? '' : shadow}`
    })
    .join('')
}

type Collected = Map<string, ArrivalTimes[]>
const othersShares: number[] = []

async function ask(rig: Rig, contender: string, seed: number): Promise<ArrivalTimes> {
  const path = `/v2/models/${modelOf(contender)}/infer`
  const headers = ['content-type: application/json']
  const target = { port: rig.contenders[0]!.port, method: 'POST' as const, path, headers, body: BODY }
  const job = { kind: 'arrivals', target, connections, requests, ratePerSecond, seed } as const
  const times = await rig.client.ask('arrivals', job)
  return { ...times, latencies: times.latencies.slice(lead) }
}

async function measure(rig: Rig): Promise<Collected> {
  const shadows = new BenchProcess<never, FromShadows>(join(ENTRIES, 'shadow-endpoint.js'), {})
  try {
    const { ports } = await shadows.ask('shadows')
    const { endpointPort } = rig
    const models = configuration(endpointPort, new Map(ports))
    const gateway = await startGatewayPeer({
      name: 'gateway',
      tree: values.tree,
      endpointPort,
      speaksOpenai: false,
      models,
    })
    rig.contenders.push(gateway)
    return await measureBlocks(rig, shadows.id)
  } finally {
    shadows.end()
  }
}

async function measureBlocks(rig: Rig, shadows: number): Promise<Collected> {
  for (let round = 0; round < WARM_ROUNDS; round += 1) {
    for (const contender of contenders) await ask(rig, contender, round)
  }
  await pause(SETTLE_MS)
  // Not the shadows' process: it would keep the request's own endpoint and the client from their core.
  const served = [rig.endpoint.id, rig.client.id, ...rig.contenders[0]!.processes()]
  if (values.realtime) for (const id of served) makeRealtime(id)
  const collected: Collected = new Map(contenders.map((contender) => [contender, []]))
  for (let block = 0; block < blocks; block += 1) {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const quiet = new Quiet([...served, shadows])
    const row = new Map<string, ArrivalTimes>()
    for (const contender of shuffled(contenders)) {
      row.set(contender, await ask(rig, contender, seed))
      await pause(SETTLE_MS)
    }
    const share = quiet.othersShare()
    othersShares.push(share)
    if (share > othersShareMax) continue
    for (const [name, times] of row) collected.get(name)!.push(times)
  }
  return collected
}

function told(collected: Collected): object {
  const at = (times: ArrivalTimes, share: number) => quantile(sortedCopy(times.latencies), share)
  const pooled = (name: string, share: number) =>
    quantile(sortedCopy(collected.get(name)!.flatMap(({ latencies }) => latencies)), share)
  const ratios = (name: string, peer: string, share: number) => ({
    perBlock: estimate(
      collected.get(name)!.map((times, index) => at(times, share) / at(collected.get(peer)![index]!, share)),
    ),
    pooled: Number((pooled(name, share) / pooled(peer, share)).toPrecision(4)),
  })
  const peers = [NONE, ...(manners.includes('well') ? ['well'] : [])]
  return Object.fromEntries(
    contenders.map((name) => [
      name,
      {
        latency: spread(collected.get(name)!.flatMap(({ latencies }) => latencies)),
        ...Object.fromEntries(
          peers
            .filter((peer) => peer !== name)
            .map((peer) => [
              `against ${peer === 'well' ? 'a well-behaved shadow' : peer}`,
              { p50IsTimes: ratios(name, peer, 0.5), p99IsTimes: ratios(name, peer, 0.99) },
            ]),
        ),
      },
    ]),
  )
}

const before = disturbance()
const collected = await withRig({ events: 1, everyMs: 1, eventBytes: 250 }, measure)
const all = [...collected.values()].flat()
report(
  {
    what: 'latency of requests that are copied to a shadow, by what the shadow does; µs',
    machine: machine(ROOT),
    method: {
      blocks,
      ratePerSecond,
      requests,
      lead,
      connections,
      requestBytes: BODY.length,
      answerBytes: 1024,
      shadow: { percent: 100, concurrentMax: 64, timeoutMs: SHADOW_TIMEOUT_MS },
      isRealtime: values.realtime,
    },
    blocks: {
      measured: blocks,
      kept: collected.get(NONE)!.length,
      othersShareOfCore: spread(othersShares),
      clientLateness: spread(all.flatMap(({ lateness }) => lateness)),
    },
    disturbance: { before, after: disturbance() },
    contenders: told(collected),
  },
  values.out,
)
