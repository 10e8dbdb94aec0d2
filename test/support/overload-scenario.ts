/**
 * A model of fixed capacity under ten times as many requests as it can serve, for a while, and then under half of it:
 * what its callers got meanwhile. The journey runs it for a moment, `npm run overload` for as long as one likes.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { BusyEndpoint } from './busy-endpoint.ts'
import { inferBytes } from './infer-bytes.ts'
import { OpenLoop, type Outcome } from './open-loop.ts'
import { PATIENCE, PATIENT } from './patient.ts'
import { decisionsIn } from './read-records.ts'
import { startTestGateway } from './start-gateway.ts'

export interface OverloadSettings {
  readonly places: number
  readonly serviceMs: number
  readonly lanes: number
  readonly triggerMs: number
  /** Over when so many requests in a row were answered. */
  readonly wellInARow: number
}

export interface OverloadReport {
  /** Of the places' time, what was held for answers that callers got; as the gateway's records tell it. */
  readonly goodput: number
  /** The overload in pieces of SLICE_MS: what a machine that stalled spoilt is told from what the gateway did. */
  readonly slices: readonly Slice[]
  readonly refused: number
  /** Requests that could not be sent because the machine was too slow. */
  readonly unsent: number
  readonly answered: number
  /** Of refusals, those with Retry-After. */
  readonly withRetryAfter: number
  /** Of refusals, those that waited in vain. */
  readonly inVain: number
  /** Of those that were refused at the door, in the gateway; as its records tell it. */
  readonly refusalMs: { readonly p50: number; readonly p90: number; readonly p99: number }
  /** From the end of the overload until requests were answered again, all in a row, as a number of requests and a time. */
  readonly recovery: { readonly requests: number; readonly ms: number }
  /** Of refusals, how many by which fault. */
  readonly byFault: Readonly<Record<string, number>>
  /** A second model beside it, asked ten times a second all the while. */
  readonly other: OtherReport
  /** Requests at the endpoint at once, at most. */
  readonly most: number
}

export interface Slice {
  readonly goodput: number
  /** Of what the endpoint can answer in that time, what it did. */
  readonly pace: number
  readonly refused: number
  readonly inVain: number
}

/** What the overload of one model was to another: p50 and p99 of what the gateway added, in ms. */
export interface OtherReport {
  readonly asked: number
  readonly failed: number
  /** Of them, had to wait for a place. */
  readonly waited: number
  readonly addedMs: {
    readonly before: readonly [p50: number, p99: number]
    readonly during: readonly [number, number]
  }
}

export const SLICE_MS = 300
const OVERLOAD = 10
const OTHER_PER_SECOND = 10
const RECOVERY_MS_MAX = 60_000

export async function overload(
  t: Pick<Test, 'teardown' | 'fail'>,
  settings: OverloadSettings,
): Promise<OverloadReport> {
  const { places, serviceMs, lanes, triggerMs, wellInARow } = settings
  const endpoint = await BusyEndpoint.start(t, { places, serviceMs })
  const free = await BusyEndpoint.start(t, { places: 100, serviceMs: 5 })
  const gateway = await startTestGateway(t, {
    toml: `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = ${lanes}
data_dir = "data"
[models.m]
limits = { concurrent = ${places}, queue = 512 }
timeouts = { ${PATIENCE.replace('queue = "20s", ', '')} }
breaker = { slow_after = "20s" }
[models.m.versions.v1]
endpoints = ["${endpoint.upstream.url}"]
[models.other]
${PATIENT}
[models.other.versions.v1]
endpoints = ["${free.upstream.url}"]
`,
  })
  const others = await OpenLoop.start(gateway.port, inferBytes('other'), 16)
  others.perSecond = OTHER_PER_SECOND
  const capacity = (places * 1000) / serviceMs
  const callers = await OpenLoop.start(gateway.port, inferBytes('m'))
  callers.perSecond = capacity / 2
  await pause(serviceMs * 5)
  const before = callers.outcomes.length
  const from = Date.now()
  const startedAt = performance.now()
  callers.perSecond = capacity * OVERLOAD
  await pause(triggerMs)
  const to = Date.now()
  const during = callers.outcomes.slice(before)
  callers.perSecond = capacity / 2
  const recovery = await recovered(callers, wellInARow)
  await callers.stop()
  await others.stop()
  const all = await decisionsIn(gateway.dataDir)
  const decisions = all.filter(({ model }) => model === 'm')
  const other = all.filter(({ model }) => model === 'other')
  const refusals = decisions
    .filter(({ fault }) => fault?.code === 'overloaded')
    .map(({ durationMs }) => durationMs)
  const refused = during.filter(({ status }) => status !== 200)
  return {
    goodput: heldMs(decisions, from, to) / ((to - from) * places),
    slices: Array.from({ length: Math.floor(triggerMs / SLICE_MS) }, (_, index) => {
      const [begin, end] = [index * SLICE_MS, (index + 1) * SLICE_MS]
      const isIn = (at: number) => at - startedAt >= begin && at - startedAt < end
      const refusedIn = refused.filter(({ intendedAt }) => isIn(intendedAt))
      const answered = during.filter(({ status, endedAt }) => status === 200 && isIn(endedAt)).length
      return {
        goodput: heldMs(decisions, from + begin, from + end) / (SLICE_MS * places),
        pace: answered / ((capacity * SLICE_MS) / 1000),
        refused: refusedIn.length,
        inVain: refusedIn.filter(({ error }) => error !== 'overloaded').length,
      }
    }),
    answered: during.length - refused.length,
    refused: refused.length,
    unsent: callers.unsent,
    withRetryAfter: refused.filter(({ retryAfter }) => Number(retryAfter) >= 1).length,
    inVain: refused.filter(({ error }) => error !== 'overloaded').length,
    refusalMs: {
      p50: percentile(refusals, 0.5),
      p90: percentile(refusals, 0.9),
      p99: percentile(refusals, 0.99),
    },
    recovery,
    byFault: countedBy(refused.map(({ error }) => error)),
    other: otherReport(other, from, to),
    most: endpoint.most,
  }
}

type Decision = Awaited<ReturnType<typeof decisionsIn>>[number]

function otherReport(all: readonly Decision[], from: number, to: number): OtherReport {
  const added = (decisions: readonly Decision[]) => {
    const ms = decisions.map(({ durationMs, attempts }) => durationMs - (attempts[0]?.totalMs ?? 0))
    return [percentile(ms, 0.5), percentile(ms, 0.99)] as const
  }
  const isDuring = ({ receivedAt }: Decision) => receivedAt >= from && receivedAt < to
  return {
    asked: all.length,
    failed: all.filter(({ status }) => status !== 200).length,
    waited: all.filter(({ attempts }) => attempts.some(({ queueMs }) => queueMs > 1)).length,
    addedMs: {
      before: added(all.filter(({ receivedAt }) => receivedAt < from)),
      during: added(all.filter(isDuring)),
    },
  }
}

/** By attempts that answered, between two wall times. */
function heldMs(decisions: readonly Decision[], from: number, to: number): number {
  let held = 0
  for (const { receivedAt, status, attempts } of decisions) {
    if (status !== 200) continue
    for (const { afterMs, totalMs } of attempts) {
      const startedAt = receivedAt + afterMs
      held += Math.max(0, Math.min(startedAt + totalMs, to) - Math.max(startedAt, from))
    }
  }
  return held
}

/** From now on. */
async function recovered(callers: OpenLoop, wellInARow: number): Promise<OverloadReport['recovery']> {
  const since = performance.now()
  const isLater = ({ intendedAt }: Outcome) => intendedAt >= since
  while (performance.now() - since < RECOVERY_MS_MAX) {
    await pause(20)
    const later = callers.outcomes.filter(isLater).sort((a, b) => a.intendedAt - b.intendedAt)
    const lastBad = later.findLastIndex(({ status }) => status !== 200)
    if (later.length - lastBad - 1 < wellInARow) continue
    const well = later[lastBad + 1]!
    return { requests: lastBad + 1, ms: well.intendedAt - since }
  }
  throw new Error(`not well within ${RECOVERY_MS_MAX} ms of the end of the overload`)
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

function countedBy(words: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return Object.fromEntries(counts)
}
