/** What a connection costs that asked once and is kept: memory of the process, which the kernel’s share is no part of. */
import { readFileSync } from 'node:fs'
import { floor, gateway, haproxy, nginx } from '../rig/parts.ts'
import type { FreshWork } from '../rig/work.ts'

const CONNECTIONS = 2000
/** The first ones grow what all share. */
const FIRST_CONNECTIONS = 50
const PATH = 'path=/models/bench/score body=100 answer=100'
/** Answers have to be back; the gateway’s server closes what is idle for ten. */
const SETTLE_MS = 1500

function residentKib(processes: readonly number[]): number {
  const of = (id: number): number =>
    Number(/^Rss:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, 'utf8'))?.[1] ?? 0)
  return processes.reduce((sum, id) => sum + of(id), 0)
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, SETTLE_MS))

export const idle: FreshWork = {
  kind: 'fresh',
  name: 'idle',
  title: 'Idle connections: KiB of the process for each',
  unit: 'KiB per connection',
  blocksMax: 3,
  parts: [
    gateway('gateway', 'gateway-pass.toml'),
    haproxy('haproxy-pass.cfg'),
    nginx('nginx-pass.conf'),
    floor(),
  ],
  pairs: [
    { held: 'gateway', against: 'haproxy' },
    { held: 'gateway', against: 'nginx' },
  ],
  measure: async (part, { load, ...stage }) => {
    const contender = await part.start({ load, ...stage })
    if (contender === undefined) return undefined
    try {
      await load.run(`to=${contender.port} ${PATH} rate=0 seconds=2 connections=${FIRST_CONNECTIONS}`)
      const before = residentKib(contender.processes())
      await load.hold(`to=${contender.port} ${PATH} connections=${CONNECTIONS}`)
      await settled()
      const after = residentKib(contender.processes())
      await load.release()
      return (after - before) / CONNECTIONS
    } finally {
      await contender.stop()
    }
  },
}
