/** From the command to the first answer that came from the endpoint. */
import { floor, gateway, gatewayAgainst, haproxy, httpProxy, nginx } from '../rig/parts.ts'
import type { FreshWork } from '../rig/work.ts'

const PATH = 'path=/models/bench/score body=100 answer=100'

export const coldStart: FreshWork = {
  kind: 'fresh',
  name: 'cold-start',
  title: 'Cold start: ms to the first answer',
  unit: 'ms',
  blocksMax: 5,
  parts: [
    gateway('gateway', 'gateway-pass.toml'),
    gatewayAgainst('gateway', 'gateway-pass.toml'),
    haproxy('haproxy-pass.cfg'),
    nginx('nginx-pass.conf'),
    httpProxy(),
    floor(),
  ],
  pairs: [
    { held: 'gateway', against: 'http-proxy' },
    { held: 'gateway', against: 'gateway (against)' },
  ],
  measure: async (part, stage) => {
    const beganAt = performance.now()
    const contender = await part.start(stage)
    if (contender === undefined) return undefined
    try {
      const ran = await stage.load.run(`to=${contender.port} ${PATH} rate=0 seconds=0 warm=0 connections=1`)
      if (ran.problem !== '') throw new Error(`${part.name}: ${ran.problem}`)
      return performance.now() - beganAt
    } finally {
      await contender.stop()
    }
  },
}
