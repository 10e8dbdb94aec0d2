/** What is counted for each caller: identities that identify, and names that tell limits apart. */
import type { KeySource } from '../../../domain/routes.ts'
import type { Path, Report } from '../problem.ts'
import { rateName } from '../rate-limits.ts'
import type { Checked } from '../schema.ts'
import type { ModelScope } from './scope.ts'

type Rates = Checked['server']['limits']['rate']
type Cache = NonNullable<ModelScope['model']['cache']>
type Say = (at: Path, message: string, expected: string) => void

export function checkCallers(scope: ModelScope, server: Rates): void {
  const own = scope.model.limits.rate
  const say: Say = (at, message, expected) => {
    if (scope.isSound(...at)) scope.error(at, message, { expected })
  }
  checkNames(own, server, ['limits', 'rate'], say)
  for (const [index, { by }] of own.entries()) checkBy(by, ['limits', 'rate', index, 'by'], say)
  const { idempotency, cache } = scope.model
  if (idempotency !== undefined) checkBy(idempotency.by, ['idempotency', 'by'], say)
  if (cache !== undefined) checkCache(cache, say)
  checkBy(scope.model.audit?.capture?.subject ?? [], ['audit', 'capture', 'subject'], say)
}

export function checkCaptureSubject(
  { audit }: Checked,
  isSound: (path: Path) => boolean,
  report: Report,
): void {
  const say: Say = (at, message, expected) => {
    if (isSound(at)) report({ severity: 'error', at, on: 'value', message, expected })
  }
  checkBy(audit.capture.subject ?? [], ['audit', 'capture', 'subject'], say)
}

function checkCache({ by, vary, shared }: Cache, say: Say): void {
  checkBy(by, ['cache', 'by'], say)
  for (const [index, source] of vary.entries()) {
    if (source.from === 'header' || source.from === 'client') continue
    const words =
      source.from === 'body'
        ? 'the whole body counts already: another body is another question'
        : 'by chance no two questions would be equal'
    say(['cache', 'vary', index], words, '"header:NAME" or "client"')
  }
  if (shared && vary.some(({ from }) => from === 'client')) {
    say(
      ['cache', 'shared'],
      'cache.vary has "client", so callers share nothing',
      'false, or no "client" in vary',
    )
  }
}

export function checkServerRates(
  { server }: Checked,
  isSound: (path: Path) => boolean,
  report: Report,
): void {
  const at: Path = ['server', 'limits', 'rate']
  const say: Say = (at, message, expected) => {
    if (isSound(at)) report({ severity: 'error', at, on: 'value', message, expected })
  }
  checkNames(server.limits.rate, [], at, say)
  for (const [index, { by }] of server.limits.rate.entries()) {
    checkBy(by, [...at, index, 'by'], say)
    for (const [place, source] of by.entries()) {
      if (source.from !== 'body') continue
      const words = 'a place in the body means something else to each model'
      say([...at, index, 'by', place], words, '"header:NAME" or "client"')
    }
  }
}

function checkBy(by: readonly KeySource[], at: Path, say: Say): void {
  for (const [index, source] of by.entries()) {
    if (source.from !== 'random') continue
    say([...at, index], 'chance tells no callers apart: each request would be a new one', '"client"')
  }
}

function checkNames(rates: Rates, taken: Rates, at: Path, say: Say): void {
  const names = new Set(taken.map(rateName))
  for (const [index, rate] of rates.entries()) {
    const name = rateName(rate)
    if (names.has(name)) {
      const words = `two limits of the same requests are called "${name}"; callers could not tell them apart`
      say([...at, index], words, 'a name of its own: name = "…"')
    }
    names.add(name)
  }
}
