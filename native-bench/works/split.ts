/** Nine of ten users to one version, the rest to another, the same user always to the same. */
import { gateway, gatewayAgainst, haproxy, nginx } from '../rig/parts.ts'
import { type PairedWork, splitFault } from '../rig/work.ts'

const PATH = 'path=/v2/models/bench/infer users=100000'

export const split: PairedWork = {
  kind: 'paired',
  name: 'split',
  title: '90/10 split, sticky by user',
  parts: [
    gateway('gateway', 'gateway-split.toml'),
    gatewayAgainst('gateway', 'gateway-split.toml'),
    haproxy('haproxy-split.cfg'),
    nginx('nginx-split.conf'),
  ],
  points: [
    { name: 'saturation', words: `${PATH} rate=0 body=1024 answer=256` },
    { name: '10k/s', words: `${PATH} rate=10000 body=1024 answer=256` },
  ],
  pairs: [
    { held: 'gateway', against: 'haproxy' },
    { held: 'gateway', against: 'nginx' },
    { held: 'gateway', against: 'gateway (against)' },
  ],
  faultOf: ({ endpoints }) => splitFault(endpoints, 0),
}
