/**
 * The gateway beside the least that its own parts can do (`bare.ts`: the same server in front, the same kind of socket
 * behind, nothing between) and beside what the kernel alone costs. What is between the first two is the gateway's doing.
 */
import { startBarePeer } from '../rig/bare-peer.ts'
import { floor, gateway, gatewayAgainst, haproxy } from '../rig/parts.ts'
import type { PairedWork } from '../rig/work.ts'

const READ_KIB = 192
const PATH = 'path=/models/bench/score body=100 answer=100'

export const stack: PairedWork = {
  kind: 'paired',
  name: 'stack',
  title: 'The gateway above the bare stack it stands on',
  parts: [
    gateway('gateway', 'gateway-pass.toml'),
    gatewayAgainst('gateway', 'gateway-pass.toml'),
    {
      name: 'bare stack',
      start: ({ values }) => startBarePeer(Number(values.FIRST), READ_KIB),
      isCompiledLate: true,
    },
    haproxy('haproxy-pass.cfg'),
    floor(),
  ],
  points: [
    { name: 'saturation', words: `${PATH} rate=0` },
    { name: '5k/s', words: `${PATH} rate=5000` },
  ],
  pairs: [
    { held: 'gateway', against: 'bare stack' },
    { held: 'bare stack', against: 'haproxy' },
    { held: 'bare stack', against: 'floor' },
    { held: 'gateway', against: 'gateway (against)' },
  ],
}
