/**
 * `modelgate serve`: runs the gateway until SIGTERM or SIGINT, then finishes what is under way. A second
 * signal ends it at once.
 *
 * Exit codes: 0 stopped in order, 1 invalid configuration or the log was lost, 2 usage, 3 could not start.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { type Gateway, startGateway } from '../compose.ts'
import { loadConfig } from '../control/config/load.ts'
import { askedOf } from './asked.ts'
import { check } from './check.ts'
import { endAtOnce } from './end-at-once.ts'
import type { Io } from './io.ts'
import { packageVersion } from './package-version.ts'
import { recoveryLines } from './recovery-lines.ts'

const USAGE = `Usage: modelgate serve [--config FILE]

Runs the gateway until SIGTERM or SIGINT. SIGHUP: looks at the files of server.tls now.

  --config FILE   configuration (default: gateway.toml in this directory)
  --help          this text

Exit code: 0 stopped in order, 1 invalid configuration or the log was lost, 2 wrong usage,
3 could not start (address taken, data_dir in use, no build of the HTTP server for this platform).
`

export async function serve(args: readonly string[], io: Io): Promise<number> {
  const options = askedOf(() => parse(args), { command: 'modelgate serve', usage: USAGE, io })
  if (typeof options === 'number') return options
  const configFile = options.config
  const loaded = loadConfig(configFile, { generation: 1, cores: availableParallelism() })
  if (!loaded.ok) return check(['--config', configFile], { ...io, stdout: io.stderr })
  for (const { path, message } of loaded.warnings) io.stderr(`modelgate: warning: ${path}: ${message}\n`)
  const log = (line: string) => io.stderr(`modelgate: ${line}\n`)
  const start = await startGateway({ snapshot: loaded.snapshot, version: packageVersion(), configFile, log })
  if (!start.ok) {
    io.stderr(`modelgate: cannot start: ${start.problem}\n`)
    return 3
  }
  const { listen, tls } = loaded.snapshot.server
  // Before it is announced: whoever reads that it serves may tell it to stop in the same moment.
  const stopped = untilStopped(start.gateway, log)
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host
  announce(start.gateway, `${tls === null ? 'http' : 'https'}://${host}`, io)
  if (tls !== null) process.on('SIGHUP', () => void start.gateway.renewCertificate())
  return stopped
}

function parse(args: readonly string[]): { config: string; help: boolean } | string {
  const { values } = parseArgs({
    args: [...args],
    options: { config: { type: 'string', default: 'gateway.toml' }, help: { type: 'boolean', short: 'h' } },
  })
  return { config: values.config, help: values.help === true }
}

function announce(gateway: Gateway, origin: string, io: Io): void {
  for (const line of recoveryLines(gateway.recovery)) io.stderr(`modelgate: ${line}\n`)
  io.stdout(
    `modelgate ${packageVersion()} is serving on ${origin}:${gateway.inferencePort}, admin on port ${gateway.adminPort} (uWebSockets.js ${gateway.uws})\n`,
  )
}

/** Stops on the first signal or when the gateway fails; the second signal ends the process at once. */
export async function untilStopped(gateway: Gateway, log: (line: string) => void): Promise<number> {
  const signal = new Promise<NodeJS.Signals>((resolve) => {
    const heard = (name: NodeJS.Signals) => {
      resolve(name)
      for (const other of SIGNALS) process.removeListener(other, heard)
      for (const other of SIGNALS) process.once(other, endAtOnce)
    }
    for (const name of SIGNALS) process.on(name, heard)
  })
  const why = await Promise.race([signal, gateway.failed])
  if (why instanceof Error) {
    log(`stopping: ${why.message}`)
    // The promise about records is broken already; a lane that hangs must not keep the process.
    setTimeout(() => {
      log(`stopping took longer than ${FAILED_EXIT_MS} ms and was given up`)
      endAtOnce('SIGKILL')
    }, FAILED_EXIT_MS).unref()
    await gateway.stop(why.message, true)
    return 1
  }
  log(`${why}: finishing what is under way`)
  const { abandoned } = await gateway.stop(why)
  if (abandoned > 0) log(`${abandoned} requests did not fit in the grace period`)
  return 0
}

const SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT']
const FAILED_EXIT_MS = 1000
