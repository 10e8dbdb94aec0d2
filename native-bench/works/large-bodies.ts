/** Bodies of a mebibyte, one way at a time. */
import { floor, gateway, gatewayAgainst, haproxy, nginx } from '../rig/parts.ts'
import type { PairedWork } from '../rig/work.ts'

const MIB = 1024 * 1024
const PATH = 'path=/models/bench/score rate=0 connections=8'

export const largeBodies: PairedWork = {
  kind: 'paired',
  name: 'large-bodies',
  title: 'Bodies of 1 MiB',
  parts: [
    gateway('gateway', 'gateway-pass.toml'),
    gatewayAgainst('gateway', 'gateway-pass.toml'),
    haproxy('haproxy-pass.cfg'),
    nginx('nginx-large.conf'),
    floor(),
  ],
  points: [
    { name: 'requests', words: `${PATH} body=${MIB} answer=100`, blocksMax: 4 },
    { name: 'answers', words: `${PATH} body=100 answer=${MIB}`, blocksMax: 4 },
  ],
  pairs: [
    { held: 'gateway', against: 'haproxy' },
    { held: 'gateway', against: 'nginx' },
    { held: 'gateway', against: 'floor' },
    { held: 'gateway', against: 'gateway (against)' },
  ],
  proofRate: 50,
}
