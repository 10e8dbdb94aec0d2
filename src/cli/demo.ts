/**
 * `modelgate demo`: starts a gateway and a model server, replays real data through them, lets a version fail
 * and be slow for real, and shows what the gateway did about it. `--serve` starts the same and serves.
 *
 * Whatever way it ends, both processes end with it. Exit codes: 0 all held, 1 something did not (or it was
 * interrupted), 2 usage, 3 could not start.
 */
import { check } from './check.ts'
import { PER_SECOND, parseDemo, REQUESTS } from './demo/options.ts'
import { runDemo } from './demo/run-demo.ts'
import { serveDemo } from './demo/serve-demo.ts'
import type { NoStage } from './demo/stage.ts'
import type { Io } from './io.ts'

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

export async function demo(args: readonly string[], io: Io): Promise<number> {
  const options = parseDemo(args)
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
