/**
 * `modelgate demo --serve`, which is `npm start`: the gateway and the model server behind its canary, until a
 * signal comes. The first signal lets requests under way finish, the second ends everything at once.
 */
import { availableParallelism } from 'node:os'
import { systemClock } from '../../kernel/clock.ts'
import type { Io } from '../io.ts'
import { packageVersion } from '../package-version.ts'
import { recoveryLines } from '../recovery-lines.ts'
import { adminUrl } from './admin-client.ts'
import { interruption } from './interruption.ts'
import type { DemoOptions } from './options.ts'
import { paintFor } from './paint.ts'
import { asTyped, isStage, type NoStage, type Stage, setStage } from './stage.ts'
import { commandFor, curlLines } from './where-next.ts'

export async function serveDemo(
  { configFile, modelServerFile }: DemoOptions,
  io: Io,
): Promise<number | NoStage> {
  const log = (line: string): void => io.stderr(`modelgate: ${line}\n`)
  const clock = systemClock
  const stage = await setStage({ configFile, modelServerFile, cores: availableParallelism(), clock, log })
  if (!isStage(stage)) return stage
  for (const line of recoveryLines(stage.gateway.recovery)) log(line)
  const interrupted = interruption(clock)
  io.stdout(welcome(stage, configFile, io.color))
  const why = await Promise.race([interrupted.happened, stage.failed.then((error) => ({ lost: error }))])
  const isLost = 'lost' in why
  log(isLost ? `stopping: ${why.lost.message}` : `${why.message}: finishing what is under way`)
  const { abandoned } = await stage.clear(isLost ? why.lost.message : why.message)
  interrupted.end()
  if (abandoned > 0) log(`${abandoned} requests did not fit in the grace period`)
  return isLost ? 1 : 0
}

function welcome(
  { inference, admin, modelServer, remote }: Stage,
  configFile: string,
  color: boolean,
): string {
  const paint = paintFor(color)
  const [flight, digit, stats] = curlLines(inference, admin)
  const command = commandFor('explain REQUEST-ID')
  return `${[
    `${paint.bold(`modelgate ${packageVersion()}`)} serves ${asTyped(configFile)}`,
    '',
    `  callers    ${adminUrl(inference)}`,
    `  operators  ${adminUrl(admin)}   (metrics, readiness, statistics)`,
    `  behind it  ${remote.model}/${remote.name} is served by process ${modelServer.pid}, another modelgate`,
    '',
    paint.bold('Will this flight be late?'),
    `${flight}`,
    '',
    paint.bold('Which digit is this?'),
    `${digit}`,
    '',
    paint.bold('How long did it take?'),
    `${stats}`,
    '',
    `Why a request got its answer: ${command}`,
    '(the id is in the response header modelgate-request-id)',
    '',
    'Ctrl-C stops it.',
    '',
  ].join('\n')}\n`
}
