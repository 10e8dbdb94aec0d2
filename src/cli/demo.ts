/**
 * `modelgate demo`: starts a gateway and a model server, replays real data through them, lets a version fail
 * and be slow for real, and shows what the gateway did about it. `--serve` starts the same and serves.
 *
 * Whatever way it ends, both processes end with it. Exit codes: 0 all held, 1 something did not (or it was
 * interrupted), 2 usage, 3 could not start.
 */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { check } from './check.ts'
import { runDemo } from './demo/run-demo.ts'
import { serveDemo } from './demo/serve-demo.ts'
import type { NoStage } from './demo/stage.ts'
import type { Io } from './io.ts'
import { packageRoot } from './package-version.ts'

const REQUESTS = 6000
const REQUESTS_MAX = 1_000_000
const PER_SECOND = 150
const PER_SECOND_MAX = 2000

const USAGE = `Usage: modelgate demo [--serve] [--requests N] [--rate N] [--config FILE] [--json]

Replays ${REQUESTS.toLocaleString('en-US')} real requests through a gateway in less than a minute, while a version fails and
is slow, and tells what the gateway did. Needs the ports of gateway.toml and config/model-server.toml.

  --serve              only start everything and serve until stopped (what npm start does)
  --requests N         how many requests (default ${REQUESTS}: every held-out row once)
  --rate N             requests a second (default ${PER_SECOND})
  --config FILE        the gateway's configuration (default: the package's gateway.toml)
  --model-server FILE  of the server behind the canary (default: config/model-server.toml beside it)
  --json               the report as one JSON document; what happens meanwhile goes to stderr
  --help               this text

Exit code: 0 all held, 1 something did not, 2 wrong usage, 3 could not start.
`

export interface DemoOptions {
  readonly serve: boolean
  readonly requests: number
  readonly perSecond: number
  /** Absolute paths. */
  readonly configFile: string
  readonly modelServerFile: string
  readonly json: boolean
}

export async function demo(args: readonly string[], io: Io): Promise<number> {
  const options = parse(args)
  if (typeof options === 'string') {
    io.stderr(`modelgate demo: ${options}\n\n${USAGE}`)
    return 2
  }
  if ('help' in options) {
    io.stdout(USAGE)
    return 0
  }
  const result = await (options.serve ? serveDemo(options, io) : runDemo(options, io))
  return typeof result === 'number' ? result : cannotStart(result, io)
}

async function cannotStart({ problem, invalid }: NoStage, io: Io): Promise<number> {
  if (invalid === null) {
    io.stderr(`modelgate demo: cannot start: ${problem}\n`)
    return 3
  }
  return check(['--config', invalid], { ...io, stdout: io.stderr, color: false })
}

function parse(args: readonly string[]): DemoOptions | { readonly help: true } | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        serve: { type: 'boolean', default: false },
        requests: { type: 'string', default: String(REQUESTS) },
        rate: { type: 'string', default: String(PER_SECOND) },
        config: { type: 'string' },
        'model-server': { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return { help: true }
    if (values.serve && values.json) return '--serve has no report to print as --json'
    const configFile =
      values.config === undefined ? join(packageRoot(), 'gateway.toml') : resolve(values.config)
    const beside = join(configFile, '..', 'config', 'model-server.toml')
    return {
      serve: values.serve,
      requests: whole('--requests', values.requests, REQUESTS_MAX),
      perSecond: whole('--rate', values.rate, PER_SECOND_MAX),
      configFile,
      modelServerFile: values['model-server'] === undefined ? beside : resolve(values['model-server']),
      json: values.json,
    }
  } catch (error) {
    return (error as Error).message
  }
}

function whole(option: string, text: string, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (value < 1 || value > most)
    throw new Error(`${option} is a whole number from 1 to ${most}, not '${text}'`)
  return value
}
