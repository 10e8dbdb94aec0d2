/**
 * What the gateway adds to streams of server-sent events: first token, delay of each event, gaps between events;
 * through the gateway against straight to the endpoint, in paired blocks of random order. Prints one JSON
 * document; `--out FILE` keeps it. See README.md for the method.
 */
import { parseArgs } from 'node:util'
import { makeRealtime, pause } from './rig/bench-process.ts'
import { type Contender, direct } from './rig/contender.ts'
import { disturbance, Quiet } from './rig/cpu-time.ts'
import { startGatewayPeer } from './rig/gateway-peer.ts'
import { machine } from './rig/machine.ts'
import type { StreamTimes, Target } from './rig/messages.ts'
import { type Rig, ROOT, report, withRig } from './rig/rig.ts'
import { estimate, quantile, shuffled, sortedCopy, spread } from './rig/statistics.ts'

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '30' },
    streams: { type: 'string', default: '64' },
    events: { type: 'string', default: '50' },
    'every-ms': { type: 'string', default: '20' },
    'event-bytes': { type: 'string', default: '250' },
    dialect: { type: 'string', default: 'raw' },
    'others-max': { type: 'string', default: '2' },
    realtime: { type: 'boolean', default: false },
    tree: { type: 'string', default: ROOT },
    out: { type: 'string' },
  },
})
const blocks = Number(values.blocks)
const streams = Number(values.streams)
const dialect = values.dialect
const settings = {
  events: Number(values.events),
  everyMs: Number(values['every-ms']),
  eventBytes: Number(values['event-bytes']),
}
/** Streams begin one after the other: what many beginning at once add is another question. */
const START_EVERY_MS = 4
/** A process that serves is long compiled; short streams get it there. */
const WARM_ROUNDS = 60
const WARM_EVENTS = 2
/** A pair of blocks in which others used more of a core than this is set aside, whatever it showed. */
const othersShareMax = Number(values['others-max'])
const othersShares: number[] = []
const KEYS = ['firstTokens', 'delays', 'gaps', 'stretches'] as const

type Collected = Map<string, StreamTimes[]>

function targetOf(contender: Contender, events: number): Target {
  const isChat = dialect === 'openai'
  const path = isChat ? '/v1/chat/completions' : `${contender.prefix}/stream`
  const model = contender.name === 'direct' ? 'bench' : 'chat'
  const messages = [{ role: 'user', content: 'Tell me.' }]
  const body = JSON.stringify({ model, stream: true, max_tokens: events, messages })
  return { port: contender.port, method: 'POST', path, headers: ['content-type: application/json'], body }
}

async function measure(rig: Rig): Promise<Collected> {
  const speaksOpenai = dialect === 'openai'
  const { endpointPort } = rig
  const gateway = await startGatewayPeer({ name: 'gateway', tree: values.tree, endpointPort, speaksOpenai })
  rig.contenders.push(gateway, direct(endpointPort))
  const collected: Collected = new Map(rig.contenders.map(({ name }) => [name, []]))
  for (let round = 0; round < WARM_ROUNDS; round += 1) {
    for (const contender of rig.contenders) await read(rig, contender, WARM_EVENTS)
  }
  const processes = [rig.endpoint.id, rig.client.id, ...gateway.processes()]
  if (values.realtime) for (const id of processes) makeRealtime(id)
  for (let block = 0; block < blocks; block += 1) {
    const quiet = new Quiet(processes)
    const pair = new Map<string, StreamTimes>()
    for (const contender of shuffled(rig.contenders)) {
      pair.set(contender.name, await read(rig, contender, settings.events))
      await pause(50)
    }
    const share = quiet.othersShare()
    othersShares.push(share)
    if (share > othersShareMax) continue
    for (const [name, times] of pair) collected.get(name)!.push(times)
  }
  return collected
}

function read(rig: Rig, contender: Contender, events: number): Promise<StreamTimes> {
  const target = targetOf(contender, events)
  const startEveryMs = events === WARM_EVENTS ? 0 : START_EVERY_MS
  return rig.client.ask('streams', {
    kind: 'streams',
    target,
    streams,
    overMs: streams * startEveryMs,
    events,
  })
}

/** Of each pair of blocks, and of all samples together. */
function added(collected: Collected, key: (typeof KEYS)[number], share: number): object {
  const [through, straight] = [collected.get('gateway')!, collected.get('direct')!]
  const at = (times: StreamTimes) => quantile(sortedCopy(times[key]), share)
  const pooled = (all: readonly StreamTimes[]) => quantile(sortedCopy(all.flatMap((one) => one[key])), share)
  return {
    perBlock: estimate(through.map((times, index) => at(times) - at(straight[index]!))),
    pooled: Math.round(10 * (pooled(through) - pooled(straight))) / 10,
  }
}

const before = disturbance()
const collected = await withRig(settings, measure)
report(
  {
    what: 'server-sent events through the gateway against direct; µs',
    machine: machine(ROOT),
    method: {
      dialect,
      streams,
      ...settings,
      blocks,
      startEveryMs: START_EVERY_MS,
      isRealtime: values.realtime,
    },
    pairs: {
      measured: blocks,
      kept: collected.get('direct')!.length,
      othersShareOfCore: spread(othersShares),
    },
    disturbance: { before, after: disturbance() },
    added: {
      firstTokenP50: added(collected, 'firstTokens', 0.5),
      firstTokenP99: added(collected, 'firstTokens', 0.99),
      eventDelayP50: added(collected, 'delays', 0.5),
      eventDelayP99: added(collected, 'delays', 0.99),
      gapP99: added(collected, 'gaps', 0.99),
      gapStretchP50: added(collected, 'stretches', 0.5),
      gapStretchP99: added(collected, 'stretches', 0.99),
    },
    seen: Object.fromEntries(
      [...collected].map(([name, all]) => [
        name,
        Object.fromEntries(KEYS.map((key) => [key, spread(all.flatMap((times) => times[key]))])),
      ]),
    ),
  },
  values.out,
)
