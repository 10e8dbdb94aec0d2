/** The split, a copy of every request to a shadow, and a log of what was decided: what this gateway is for. */
import { gateway, gatewayAgainst, nginx } from '../rig/parts.ts'
import { type PairedWork, splitFault } from '../rig/work.ts'

const PATH = 'path=/v2/models/bench/infer users=100000'

export const shadow: PairedWork = {
  kind: 'paired',
  name: 'shadow',
  title: '90/10 split, 100 % shadow, decision log',
  parts: [
    gateway('gateway', 'gateway-shadow.toml'),
    gatewayAgainst('gateway', 'gateway-shadow.toml'),
    nginx('nginx-shadow.conf'),
  ],
  points: [
    { name: 'saturation', words: `${PATH} rate=0 body=1024 answer=256` },
    { name: '5k/s', words: `${PATH} rate=5000 body=1024 answer=256` },
  ],
  pairs: [
    { held: 'gateway', against: 'nginx' },
    { held: 'gateway', against: 'gateway (against)' },
  ],
  faultOf: ({ endpoints }) => splitFault(endpoints, 1),
}
