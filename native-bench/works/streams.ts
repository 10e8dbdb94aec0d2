/** Streams of 64 events, one every 20 ms: what a token costs, and how much later it comes. */
import { direct } from '../rig/contender.ts'
import { floor, gateway, gatewayAgainst, haproxy, nginx } from '../rig/parts.ts'
import { EVENTS, type PairedWork, type Point } from '../rig/work.ts'

const WORDS =
  'path=/v1/chat/completions body=@{{BODIES}}/chat-stream.json rate=0 events=64 every-us=20000 event-bytes=250'

function point(streams: number): Point {
  const name = streams === 1 ? '1 stream' : `${streams} streams`
  return { name, words: `${WORDS} connections=${streams}`, seconds: 2, warmSeconds: 1.5, blocksMax: 3 }
}

export const streams: PairedWork = {
  kind: 'paired',
  name: 'streams',
  title: 'Server-sent events, 64 tokens',
  parts: [
    gateway('gateway', 'gateway-openai.toml'),
    gatewayAgainst('gateway', 'gateway-openai.toml'),
    haproxy('haproxy-stream.cfg'),
    nginx('nginx-stream.conf'),
    floor(),
    { name: 'direct', start: async ({ values }) => direct(Number(values.FIRST)) },
  ],
  points: [64, 1, 512].map(point),
  pairs: [
    { held: 'gateway', against: 'haproxy' },
    { held: 'gateway', against: 'nginx' },
    { held: 'gateway', against: 'floor' },
    { held: 'gateway', against: 'gateway (against)' },
  ],
  unit: EVENTS,
  hasOtherBodies: true,
  proofRate: 100,
}
