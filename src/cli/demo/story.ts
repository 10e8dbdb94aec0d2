/**
 * What happens while the requests go through: all is well, a version fails, all is well again, a version is
 * slow, all is well to the end. Nothing is pretended: the process behind the version is killed and started
 * again, stopped and continued. Each step waits for what it should bring about, and gives up after a while
 * so that the report can say what did not happen.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../../kernel/clock.ts'
import type { BreakerWatch, Change } from './breaker-watch.ts'
import type { Load } from './load.ts'
import type { Pulse } from './model-server.ts'
import type { Progress } from './progress.ts'
import type { Stage } from './stage.ts'
import { count, counted } from './table.ts'
import type { Tally } from './tally.ts'

export interface StoryParts {
  readonly stage: Stage
  readonly load: Load
  readonly tally: Tally
  readonly watch: BreakerWatch
  readonly progress: Progress
  readonly clock: Clock
  readonly signal: AbortSignal
  /** In all; more are sent only when a spell needs them. */
  readonly requests: number
  /** For the progress line. */
  onPhase(phase: string): void
}

/** What a spell brought about. Null: it did not happen in time. */
export interface Spell {
  readonly name: 'failing' | 'slow'
  readonly opened: Change | null
  readonly closed: Change | null
  /** Callers that got another answer than the version's, and callers that got none. */
  readonly degraded: number
  readonly failed: number
  readonly seconds: number
}

/** Shares of all requests after which the spells begin; the slow one never before the first is over. */
const FAILING_FROM = 0.22
const SLOW_FROM = 0.58
const OPENS_WITHIN_MS = 20_000
const CLOSES_WITHIN_MS = 45_000
/** How long to wait for a probe that fails, so that the growing pause is seen. */
const PROBE_WITHIN_MS = 5000
const LOOK_EVERY_MS = 50

export async function tellStory(parts: StoryParts): Promise<readonly Spell[]> {
  const { progress, stage, load, requests } = parts
  const { model, name } = stage.remote
  parts.onPhase('all is well')
  progress.say(
    `All is well. ${model}/${name} is served by process ${stage.modelServer.pid}, another modelgate.`,
  )
  await until(parts, () => load.sent >= FAILING_FROM * requests)
  const failing = await spell(parts, 'failing', failingVersion)
  parts.onPhase('all is well')
  await until(parts, () => load.sent >= SLOW_FROM * requests)
  const slow = await spell(parts, 'slow', slowVersion)
  parts.onPhase('the rest')
  await load.finish(requests)
  progress.say(`All answers are there: ${count(load.sent)}.`)
  return [failing, slow]
}

interface Turn {
  readonly opened: Change | null
  readonly closed: Change | null
}

async function spell(
  parts: StoryParts,
  name: Spell['name'],
  take: (parts: StoryParts, from: number) => Promise<Turn>,
): Promise<Spell> {
  const { tally, clock, watch, progress } = parts
  const before = { degraded: tally.degraded, failed: tally.failed, at: clock.now() }
  parts.onPhase(`${name} version`)
  const turn = await take(parts, watch.changes.length)
  const degraded = tally.degraded - before.degraded
  const failed = tally.failed - before.failed
  const seconds = (clock.now() - before.at) / 1000
  const others = failed === 0 ? 'nobody got an error' : `${counted(failed, 'caller')} got an error`
  progress.say(
    `Over after ${seconds.toFixed(1)} s: ${counted(degraded, 'caller')} got the declared consequence, ${others}.`,
  )
  return { name, ...turn, degraded, failed, seconds }
}

async function failingVersion(parts: StoryParts, from: number): Promise<Turn> {
  const { stage, progress, watch, clock } = parts
  const { modelServer } = stage
  const of = ofRemote(parts)
  progress.say(`A version fails: process ${modelServer.pid} is killed. Connections to it are refused.`)
  await modelServer.kill()
  const opened = await watch.until(from, (change) => of(change) && change.to === 'open', OPENS_WITHIN_MS)
  const isProbe = (change: Change) => of(change) && change.from === 'half-open' && change.to === 'open'
  if (opened !== null) await watch.until(from, isProbe, PROBE_WITHIN_MS)
  await modelServer.start(clock)
  progress.say(`It is started again, as process ${modelServer.pid}. The next probes will find it.`)
  return { opened, closed: await closing(parts, from) }
}

async function slowVersion(parts: StoryParts, from: number): Promise<Turn> {
  const { stage, progress, watch } = parts
  const { modelServer } = stage
  const of = ofRemote(parts)
  const pulse = pulseFor(parts)
  progress.say(
    `A version is slow: process ${modelServer.pid} is stopped for ${pulse.stoppedMs} ms, then runs for ${pulse.runningMs} ms, again and again. Its answers are right, but late.`,
  )
  modelServer.slowDown(pulse)
  const opened = await watch.until(from, (change) => of(change) && change.to === 'open', OPENS_WITHIN_MS)
  await modelServer.speedUp()
  progress.say('It may run freely again. The next probes will find that out.')
  return { opened, closed: opened === null ? null : await closing(parts, from) }
}

function closing(parts: StoryParts, from: number): Promise<Change | null> {
  const of = ofRemote(parts)
  return parts.watch.until(from, (change) => of(change) && change.to === 'closed', CLOSES_WITHIN_MS)
}

function ofRemote({ stage }: StoryParts): (change: Change) => boolean {
  const { model, name } = stage.remote
  return (change) => change.model === model && change.version === name
}

const RUNNING_MS = 30

/**
 * As long as the timeouts allow with a third to spare, so that most answers are slow and none times out.
 * Arrivals are even, so the share of slow ones is (stopped − slow_after) / (stopped + running).
 */
function pulseFor({ stage }: StoryParts): Pulse {
  const { timeouts } = stage.snapshot.models.get(stage.remote.model)!
  const stoppedMs = Math.round((2 / 3) * Math.min(timeouts.firstByteMs, timeouts.totalMs))
  return { stoppedMs, runningMs: RUNNING_MS }
}

async function until({ signal }: StoryParts, isSo: () => boolean): Promise<void> {
  while (!isSo()) await pause(LOOK_EVERY_MS, undefined, { signal })
}
