/**
 * A gateway as it ships: `modelgate serve` of a built tree, one lane, records on, pinned to the measured core. Its
 * configuration and its data live in a directory of their own that is removed with it.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MEASURED_CORE, spawnPinned } from './bench-process.ts'
import type { Contender } from './contender.ts'
import { portSaid } from './port-said.ts'

export interface GatewayOptions {
  readonly name: string
  /** A compiled tree: `<tree>/build/src/main.js`. */
  readonly tree: string
  readonly endpointPort: number
  /** With the dialect `openai` beside `raw`; trees from before it cannot. */
  readonly speaksOpenai: boolean
  /** Further models, in the configuration's own words. */
  readonly models?: string
}

function configuration({ endpointPort, speaksOpenai, models = '' }: GatewayOptions): string {
  const model = (name: string, protocol: string): string => `
[models.${name}]
protocol = "${protocol}"
timeouts = { queue = "5s", connect = "5s", first_byte = "30s", total = "60s" }

[models.${name}.versions.v1]
endpoints = ["http://127.0.0.1:${endpointPort}"]
`
  const server = '[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nlanes = 1\ndata_dir = "data"\n'
  return server + model('bench', 'raw') + (speaksOpenai ? model('chat', 'openai') : '') + models
}

export async function startGatewayPeer(options: GatewayOptions): Promise<Contender> {
  const main = join(options.tree, 'build/src/main.js')
  if (!existsSync(main)) throw new Error(`${main} is not there: compile that tree first`)
  const directory = mkdtempSync(join(tmpdir(), 'modelgate-bench-'))
  const configFile = join(directory, 'gateway.toml')
  writeFileSync(configFile, configuration(options))
  const child = spawnPinned(MEASURED_CORE, [process.execPath, main, 'serve', '--config', configFile], 'text')
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
    rmSync(directory, { recursive: true, force: true })
  }
  const port = await portSaid(child).catch(async (problem: unknown) => {
    child.kill('SIGKILL')
    await stop()
    throw problem
  })
  return { name: options.name, port, prefix: '/models/bench', processes: () => [child.pid!], stop }
}
