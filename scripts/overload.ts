/**
 * `npm run overload` puts a gateway with a model of fixed capacity under ten times as many requests as that can serve,
 * for ten seconds (`-- --seconds N`), then under half of it, and prints what callers got. Exit code 1 when a promise
 * of ARCHITECTURE.md, "Overload", was broken. For a machine that has nothing else to do: callers and endpoint run here, too.
 */
import { parseArgs } from 'node:util'
import { type OverloadReport, overload } from '../test/support/overload-scenario.ts'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '10' }, lanes: { type: 'string', default: '1' } },
})

const endings: (() => unknown)[] = []
let problems = 0
const scope = {
  teardown: (ending: () => unknown) => void endings.unshift(ending),
  fail: (...words: unknown[]) => {
    problems += 1
    console.log(words.join(' '))
    return false
  },
}

const report = await overload(scope, {
  places: 8,
  serviceMs: 80,
  lanes: Number(values.lanes),
  wellInARow: 100,
  triggerMs: Number(values.seconds) * 1000,
})
for (const end of endings) await end()
console.log(JSON.stringify(report, null, 2))

const promises: readonly [string, (report: OverloadReport) => boolean][] = [
  ['at least 90 % of the places’ time is of use to callers', ({ goodput }) => goodput >= 0.9],
  ['refusals at the door take at most 5 ms', ({ refusalMs }) => refusalMs.p99 <= 5],
  ['every refusal has Retry-After', ({ refused, withRetryAfter }) => withRetryAfter === refused],
  ['all is well within 15 s of the end of the overload', ({ recovery }) => recovery.ms <= 15_000],
]
for (const [words, isKept] of promises) {
  console.log(`${isKept(report) ? 'kept  ' : 'BROKEN'} ${words}`)
  if (!isKept(report)) problems += 1
}
if (report.unsent > report.refused / 100) {
  console.log(
    `${report.unsent} requests could not even be sent: this machine was too busy for the figures to say much`,
  )
}
if (problems > 0) process.exitCode = 1
