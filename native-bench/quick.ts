/**
 * `npm run bench:quick`: a look at one gateway without compiler or peers, with autocannon in front and an endpoint in
 * JavaScript behind. Its loop is closed and it shares a core with the endpoint: good for seeing a difference between two
 * versions of the code, not for a claim (`npm run bench` is for those).
 *
 *   --seconds N (5)   --connections N (64)   --tree TREE (a compiled checkout; this one)
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { OTHER_CORE, spawnPinned } from './rig/bench-process.ts'
import { cpuTime, spentBetween } from './rig/cpu-time.ts'
import { startGatewayPeer } from './rig/gateway-peer.ts'
import { ROOT, withRig } from './rig/rig.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '64' },
    tree: { type: 'string', default: ROOT },
  },
})
const WARM_SECONDS = 2
const AUTOCANNON = join(ROOT, 'node_modules/autocannon/autocannon.js')
const BODY = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1.5, 2.5] }] })

/** The part of autocannon's JSON that is read here. */
interface Shot {
  readonly requests: { readonly average: number; readonly total: number }
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly errors: number
  readonly non2xx: number
}

async function shoot(url: string, seconds: string): Promise<Shot> {
  const options = ['--json', '--connections', values.connections, '--duration', seconds]
  const request = ['--method', 'POST', '--headers', 'content-type=application/json', '--body', BODY, url]
  const child = spawnPinned(OTHER_CORE, [process.execPath, AUTOCANNON, ...options, ...request], 'text')
  let said = ''
  let complaint = ''
  child.stdout!.on('data', (text: Buffer) => {
    said += text.toString()
  })
  child.stderr!.on('data', (text: Buffer) => {
    complaint += text.toString()
  })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  if (code !== 0) throw new Error(`autocannon ended with ${code}: ${complaint}`)
  return JSON.parse(said) as Shot
}

await withRig({ events: 1, everyMs: 1, eventBytes: 250 }, async ({ endpointPort, contenders }) => {
  const gateway = await startGatewayPeer({
    name: 'gateway',
    tree: values.tree,
    endpointPort,
    speaksOpenai: false,
  })
  contenders.push(gateway)
  const url = (port: number, prefix: string): string => `http://127.0.0.1:${port}${prefix}/bytes/300`
  const direct = await shoot(url(endpointPort, ''), String(WARM_SECONDS))
  await shoot(url(gateway.port, gateway.prefix), String(WARM_SECONDS))
  const before = cpuTime(gateway.processes())
  const shot = await shoot(url(gateway.port, gateway.prefix), values.seconds)
  const cpuUs = spentBetween(before, cpuTime(gateway.processes())) / 1000 / shot.requests.total
  const line = (name: string, { requests, latency, errors, non2xx }: Shot): string =>
    `${name.padEnd(9)} ${requests.average.toFixed(0).padStart(7)} requests/s   p50 ${latency.p50} ms   p99 ${latency.p99} ms   max ${latency.max} ms   ${errors + non2xx} failed`
  console.log(line('direct', direct))
  console.log(line('gateway', shot))
  console.log(`CPU of all threads of the gateway: ${cpuUs.toFixed(1)} µs per request`)
  if (shot.errors + shot.non2xx > 0) process.exitCode = 1
})
