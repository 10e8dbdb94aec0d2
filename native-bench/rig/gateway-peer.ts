/**
 * A gateway as it ships: `modelgate serve` of a built tree, one lane, records on, pinned to the measured core. Its
 * configuration and its data live in a directory of their own that is removed with it.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Core } from './bench-process.ts'
import type { Contender } from './contender.ts'
import { startServed } from './served.ts'

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

function configurationOf({ endpointPort, speaksOpenai, models = '' }: GatewayOptions): string {
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

export function startGatewayPeer(options: GatewayOptions): Promise<Contender> {
  const { name, tree } = options
  return startGateway({ name, tree, configuration: configurationOf(options), prefix: '/models/bench' })
}

export interface ConfiguredGateway {
  readonly name: string
  readonly tree: string
  readonly configuration: string
  readonly prefix?: string
  /** What `{{NAME}}` in the configuration stands for. */
  readonly values?: Readonly<Record<string, string | number>>
  /** The measured one unless told. */
  readonly core?: Core
}

export async function startGateway({ tree, ...rest }: ConfiguredGateway): Promise<Contender> {
  const main = join(tree, 'build/src/main.js')
  if (!existsSync(main)) throw new Error(`${main} is not there: compile that tree first`)
  return startServed({
    ...rest,
    command: [process.execPath, main, 'serve', '--config', '{{CONFIG}}'],
    saysPort: true,
  })
}
