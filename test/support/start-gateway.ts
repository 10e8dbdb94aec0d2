/**
 * A whole gateway on ports of its own, from a configuration written as a user would write it. Stops it
 * when the test ends, and fails the test when stopping leaves a thread or a socket behind.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { type Gateway, startGateway } from '../../src/compose.ts'
import { loadConfig } from '../../src/control/config/load.ts'
import { type Asked, ask, JSON_TYPE, type Told } from './ask.ts'

export interface TestGateway {
  readonly gateway: Gateway
  readonly port: number
  readonly adminPort: number
  readonly directory: string
  readonly dataDir: string
  /** What the gateway told its operator. */
  readonly log: readonly string[]
  /** POST to a model's V2 infer with a JSON body. */
  infer(model: string, body: string, headers?: Readonly<Record<string, string>>): Promise<Told>
  ask(path: string, asked?: Asked): Promise<Told>
  admin(path: string): Promise<Told>
  stop(): Promise<{ readonly abandoned: number }>
}

const SERVER = `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
data_dir = "data"
grace = "2s"
`

export interface Setup {
  /** Everything after [server]; or everything, when it has a [server] of its own. */
  readonly toml: string
  /** Files beside the configuration: relative path → contents. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>
  /** Entry of the lanes’ threads, where a test breaks them. */
  readonly laneEntry?: URL
}

type Scope = Pick<Test, 'teardown' | 'fail'>

export async function startTestGateway(
  t: Scope,
  { toml, files = {}, laneEntry }: Setup,
): Promise<TestGateway> {
  const directory = mkdtempSync(join(tmpdir(), 'modelgate-'))
  for (const [name, contents] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), contents)
  }
  const configFile = join(directory, 'gateway.toml')
  writeFileSync(configFile, toml.includes('[server]') ? toml : SERVER + toml)
  const loaded = loadConfig(configFile, { generation: 1, cores: 2 })
  if (!loaded.ok) throw new Error(`the test’s configuration is invalid: ${JSON.stringify(loaded.problems)}`)
  const log: string[] = []
  const start = await startGateway({
    snapshot: loaded.snapshot,
    version: '0.0.0-test',
    configFile,
    log: (line) => void log.push(line),
    ...(laneEntry === undefined ? {} : { laneEntry }),
  })
  if (!start.ok) throw new Error(start.problem)
  const { gateway } = start
  t.teardown(async () => {
    await gateway.stop('the test is over')
    for (const line of log.filter((line) => line.startsWith('a bug'))) t.fail(line)
    rmSync(directory, { recursive: true, force: true })
  })
  return {
    gateway,
    port: gateway.inferencePort,
    adminPort: gateway.adminPort,
    directory,
    dataDir: join(directory, 'data'),
    log,
    infer: (model, body, headers = {}) =>
      ask(gateway.inferencePort, `/v2/models/${model}/infer`, {
        body,
        headers: { ...JSON_TYPE, ...headers },
      }),
    ask: (path, asked) => ask(gateway.inferencePort, path, asked),
    admin: (path) => ask(gateway.adminPort, path),
    stop: () => gateway.stop('the test says so'),
  }
}

/** A `javascript` model: one FP32 input `x` [-1, n], one FP32 output `score` [-1] computed by `expression` of `row`. */
export function javascriptModel(expression: string, width = 1): string {
  return `
export const metadata = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, ${width}] }],
  outputs: [{ name: 'score', datatype: 'FP32', shape: [-1] }],
}
export const batchable = true
export async function score({ x }) {
  const rows = x.shape[0]
  const data = new Float32Array(rows)
  for (let index = 0; index < rows; index += 1) {
    const row = x.data.subarray(index * ${width}, (index + 1) * ${width})
    data[index] = ${expression}
  }
  return { score: { datatype: 'FP32', shape: [rows], data } }
}
`
}
