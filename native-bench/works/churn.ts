/** Every request on a connection of its own, and every tenth. */
import { floor, gateway, gatewayAgainst, haproxy, nginx } from '../rig/parts.ts'
import type { PairedWork } from '../rig/work.ts'

const PATH = 'path=/models/bench/score body=100 answer=100'

export const churn: PairedWork = {
  kind: 'paired',
  name: 'churn',
  title: 'Connections that carry one request, or ten',
  parts: [
    gateway('gateway', 'gateway-pass.toml'),
    gatewayAgainst('gateway', 'gateway-pass.toml'),
    haproxy('haproxy-pass.cfg'),
    nginx('nginx-pass.conf'),
    floor(),
  ],
  points: [
    { name: 'one request, 2k/s', words: `${PATH} churn=1 rate=2000`, blocksMax: 4 },
    { name: 'one request, saturation', words: `${PATH} churn=1 rate=0`, blocksMax: 4 },
    { name: 'ten requests, saturation', words: `${PATH} churn=10 rate=0`, blocksMax: 4 },
  ],
  pairs: [
    { held: 'gateway', against: 'haproxy' },
    { held: 'gateway', against: 'nginx' },
    { held: 'gateway', against: 'floor' },
    { held: 'gateway', against: 'gateway (against)' },
  ],
}
