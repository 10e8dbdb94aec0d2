/** The endpoint fails, everybody knows it, and refuses by itself. */
import { gateway, gatewayAgainst, haproxy, nginx } from '../rig/parts.ts'
import type { PairedWork } from '../rig/work.ts'

const PATH = 'path=/models/bench/score body=1024 answer=100 status=503 expect=0'
/** Of all requests, those that may still reach the endpoint. */
const REACHING_MAX = 0.02

export const breakerOpen: PairedWork = {
  kind: 'paired',
  name: 'breaker-open',
  title: 'Refusing for an endpoint that is known to fail',
  parts: [
    gateway('gateway', 'gateway-breaker.toml'),
    gatewayAgainst('gateway', 'gateway-breaker.toml'),
    haproxy('haproxy-breaker.cfg'),
    nginx('nginx-breaker.conf'),
  ],
  points: [
    { name: 'saturation', words: `${PATH} rate=0`, blocksMax: 4 },
    { name: '5k/s', words: `${PATH} rate=5000`, blocksMax: 4 },
  ],
  pairs: [
    { held: 'gateway', against: 'haproxy' },
    { held: 'gateway', against: 'nginx' },
    { held: 'gateway', against: 'gateway (against)' },
  ],
  hasOtherBodies: true,
  isWatched: true,
  faultOf: ({ endpoints, answered }) => {
    const reached = endpoints.reduce((sum, { requests }) => sum + requests, 0)
    return reached > answered * REACHING_MAX + 20
      ? `${reached} of ${answered} requests reached the endpoint`
      : null
  },
}
