/**
 * The gateway and its peers, as parts of a work. Configurations are files in `peers/`; what is not on this machine is
 * skipped, and the reason says how to get it.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isOnPath } from './compiled.ts'
import { startGateway } from './gateway-peer.ts'
import { ROOT } from './rig.ts'
import { type Served, startServed } from './served.ts'
import type { Part, Stage } from './work.ts'

const PEERS = join(ROOT, 'native-bench/peers')

export function peerFile(name: string): string {
  return readFileSync(join(PEERS, name), 'utf8')
}

const skipped = new Set<string>()

/** Said once, where nobody overlooks it. */
export function skip(what: string, why: string): undefined {
  if (!skipped.has(what)) console.error(`SKIPPED ${what}: ${why}`)
  skipped.add(what)
  return undefined
}

export function skippedParts(): readonly string[] {
  return [...skipped]
}

/** With `--against`, the other tree's gateway takes part in whatever this one does, under the name `… (against)`. */
export function gateway(name: string, configuration: string | (() => string), words?: string): Part {
  return gatewayOf('tree', name, configuration, words)
}

export function gatewayAgainst(name: string, configuration: string | (() => string), words?: string): Part {
  return gatewayOf('against', `${name} (against)`, configuration, words)
}

function gatewayOf(
  which: 'tree' | 'against',
  name: string,
  configuration: string | (() => string),
  words?: string,
): Part {
  const start = async (stage: Stage) => {
    const tree = stage[which]
    if (tree === undefined) return undefined
    const text = typeof configuration === 'string' ? peerFile(configuration) : configuration()
    return startGateway({ name, tree, configuration: text, values: stage.values })
  }
  return words === undefined
    ? { name, start, isCompiledLate: true }
    : { name, start, words, isCompiledLate: true }
}

export function floor(): Part {
  const start = ({ programs, values }: Stage) =>
    startServed({ name: 'floor', values, command: [programs.floor, '0', '{{FIRST}}'], saysPort: true })
  return { name: 'floor', start }
}

export function nginx(configuration: string): Part {
  return native('nginx', 'nginx-light', {
    configuration,
    command: ['nginx', '-p', '{{DIRECTORY}}', '-c', '{{CONFIG}}'],
  })
}

export function haproxy(configuration: string): Part {
  return native('haproxy', 'haproxy', { configuration, command: ['haproxy', '-f', '{{CONFIG}}'] })
}

function native(name: string, debian: string, of: Pick<Served, 'command'> & { configuration: string }): Part {
  const start = async ({ values }: Stage) => {
    if (!isOnPath(name)) return skip(name, `not on this machine (Debian: apt-get install ${debian})`)
    const configuration = peerFile(of.configuration)
    return startServed({ name, values, configuration, command: of.command, saysPort: false })
  }
  return { name, start }
}

/** From npm, into `peers/node_modules`, when they are first asked for. */
function arePeersInstalled(): boolean {
  if (existsSync(join(PEERS, 'node_modules/http-proxy'))) return true
  try {
    execFileSync('npm', ['ci', '--silent'], { cwd: PEERS, stdio: ['ignore', 'ignore', 'inherit'] })
    return true
  } catch {
    return false
  }
}

const HOW = 'npm ci in native-bench/peers did not work'

export function httpProxy(): Part {
  const start = async ({ values }: Stage) => {
    if (!arePeersInstalled()) return skip('http-proxy', HOW)
    const command = [process.execPath, join(PEERS, 'http-proxy.mjs'), '{{FIRST}}']
    return startServed({ name: 'http-proxy', values, command, saysPort: true })
  }
  return {
    name: 'http-proxy',
    start,
    words: 'path=/models/bench/score body=1024 answer=1024',
    isCompiledLate: true,
  }
}

export function portkey(words: string): Part {
  const start = async ({ values }: Stage) => {
    if (!arePeersInstalled()) return skip('portkey', HOW)
    const entry = join(PEERS, 'node_modules/@portkey-ai/gateway/build/start-server.js')
    const command = [
      'env',
      'TRUSTED_CUSTOM_HOSTS=127.0.0.1',
      process.execPath,
      entry,
      '--port={{PORT}}',
      '--headless',
    ]
    return startServed({ name: 'portkey', values, command, saysPort: false })
  }
  return { name: 'portkey', start, words, isCompiledLate: true }
}
