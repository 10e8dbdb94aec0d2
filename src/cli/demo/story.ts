/**
 * What happens while the requests go through: all is well, a version fails, all is well again, a version is
 * slow, all is well to the end. Nothing is pretended: the process behind the version is killed and started
 * again, stopped and continued. Each step waits for what it should bring about, as long as the machine needs
 * for that, and gives up in time for the whole to end, so that the report can say what did not happen.
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
  readonly perSecond: number
  /** For the progress line. */
  onPhase(phase: string): void
}

/** What a breaker says that opened on a version that fails, and on one that is late: too late is a timeout. */
export const FAILED = /failed/
export const TOO_SLOW = /took|failed/

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
/**
 * The same as shares of the time there is, for a machine that cannot keep the pace: what is over by when,
 * whether it was seen by then or not. A spell lasts as long as it takes within that.
 */
const BY = { failingBegins: 0.2, failingOpens: 0.4, failingIsOver: 0.62, slowOpens: 0.82, slowIsOver: 1 }
/**
 * The time there is, from the demo's start: an unhurried machine needs half of it for what the demo sends
 * unless told otherwise, and a busy one has half a minute left to stop everything and to read the log.
 */
const OVER_AFTER_MS = 88_000
/** For other numbers of requests: how much longer than their pace asks for. */
const PACE_SPARE = 1.5
/** How long to wait for a probe that fails, so that the growing pause is seen. */
const PROBE_WITHIN_MS = 5000
const LOOK_EVERY_MS = 50

export async function tellStory(parts: StoryParts): Promise<readonly Spell[]> {
  const { progress, stage, load, requests, perSecond, clock } = parts
  const budgetMs = Math.max(OVER_AFTER_MS - progress.elapsedMs, (PACE_SPARE * 1000 * requests) / perSecond)
  const play = { ...parts, startedAt: clock.now(), budgetMs }
  const { model, name } = stage.remote
  parts.onPhase('all is well')
  progress.say(
    `All is well. ${model}/${name} is served by process ${stage.modelServer.pid}, another modelgate.`,
  )
  await until(play, () => load.sent >= FAILING_FROM * requests, BY.failingBegins)
  const failing = await spell(play, 'failing', failingVersion)
  parts.onPhase('all is well')
  await until(play, () => load.sent >= SLOW_FROM * requests, BY.failingIsOver)
  const slow = await spell(play, 'slow', slowVersion)
  parts.onPhase('the rest')
  await load.finish(requests, leftMs(play, BY.slowIsOver))
  const isCut = load.sent < requests
  const cut = isCut ? ` The machine is busy: the other ${count(requests - load.sent)} are left out.` : ''
  progress.say(`All answers are there: ${count(load.sent)}.${cut}`)
  return [failing, slow]
}

/** The parts and how long all of it may take. */
interface Play extends StoryParts {
  readonly startedAt: number
  readonly budgetMs: number
}

interface Turn {
  readonly opened: Change | null
  readonly closed: Change | null
}

async function spell(play: Play, name: Spell['name'], take: (play: Play) => Promise<Turn>): Promise<Spell> {
  const { tally, clock, watch, progress, stage } = play
  // What a cold or busy machine brought about before is no effect of the spell.
  const wellBy = name === 'failing' ? BY.failingOpens : BY.slowOpens
  await watch.untilClosed(stage.remote.model, stage.remote.name, leftMs(play, wellBy) / 2)
  const before = { degraded: tally.degraded, failed: tally.failed, at: clock.now() }
  play.onPhase(`${name} version`)
  const turn = await take(play)
  const degraded = tally.degraded - before.degraded
  const failed = tally.failed - before.failed
  const seconds = (clock.now() - before.at) / 1000
  const others = failed === 0 ? 'nobody got an error' : `${counted(failed, 'caller')} got an error`
  progress.say(
    `Over after ${seconds.toFixed(1)} s: ${counted(degraded, 'caller')} got the declared consequence, ${others}.`,
  )
  return { name, ...turn, degraded, failed, seconds }
}

async function failingVersion(play: Play): Promise<Turn> {
  const { stage, progress, watch, clock } = play
  const { modelServer } = stage
  const from = watch.changes.length
  progress.say(`A version fails: process ${modelServer.pid} is killed. Connections to it are refused.`)
  await modelServer.kill()
  const opened = await opening(play, from, { why: FAILED, by: BY.failingOpens })
  const of = ofRemote(play)
  const isProbe = (change: Change) => of(change) && change.from === 'half-open' && change.to === 'open'
  if (opened !== null) await watch.until(watch.changes.indexOf(opened), isProbe, PROBE_WITHIN_MS)
  await watch.look()
  const restart = watch.changes.length
  await modelServer.start(clock)
  progress.say(`It is started again, as process ${modelServer.pid}. The next probes will find it.`)
  return { opened, closed: opened === null ? null : await closing(play, restart, BY.failingIsOver) }
}

async function slowVersion(play: Play): Promise<Turn> {
  const { stage, progress, watch } = play
  const { modelServer } = stage
  const from = watch.changes.length
  const pulse = pulseFor(play)
  progress.say(
    `A version is slow: process ${modelServer.pid} is stopped for ${pulse.stoppedMs} ms, then runs for ${pulse.runningMs} ms, again and again. Its answers are right, but late.`,
  )
  modelServer.slowDown(pulse)
  const opened = await opening(play, from, { why: TOO_SLOW, by: BY.slowOpens })
  await modelServer.speedUp()
  progress.say('It may run freely again. The next probes will find that out.')
  const openedAt = opened === null ? 0 : watch.changes.indexOf(opened)
  return { opened, closed: opened === null ? null : await closing(play, openedAt, BY.slowIsOver) }
}

function opening(
  play: Play,
  from: number,
  { why, by }: { readonly why: RegExp; readonly by: number },
): Promise<Change | null> {
  const of = ofRemote(play)
  const fits = (change: Change) => of(change) && change.to === 'open' && why.test(change.why)
  return play.watch.until(from, fits, leftMs(play, by))
}

function closing(play: Play, from: number, by: number): Promise<Change | null> {
  const of = ofRemote(play)
  return play.watch.until(from, (change) => of(change) && change.to === 'closed', leftMs(play, by))
}

/** Until that share of the time is over. */
function leftMs({ clock, startedAt, budgetMs }: Play, by: number): number {
  return Math.max(0, startedAt + by * budgetMs - clock.now())
}

function ofRemote({ stage }: StoryParts): (change: Change) => boolean {
  const { model, name } = stage.remote
  return (change) => change.model === model && change.version === name
}

const RUNNING_MS = 30
/** Share of the time within which an answer must begin: enough is left for those that waited longest. */
const STOPPED_SHARE = 0.75

/**
 * Nearly as long as the timeouts allow, so that most answers are slow and none times out. Arrivals are even,
 * so the share of slow ones is (stopped − slow_after) / (stopped + running).
 */
function pulseFor({ stage }: StoryParts): Pulse {
  const { timeouts } = stage.snapshot.models.get(stage.remote.model)!
  const stoppedMs = Math.round(STOPPED_SHARE * Math.min(timeouts.firstByteMs, timeouts.totalMs))
  return { stoppedMs, runningMs: RUNNING_MS }
}

/** Until it is so, or that share of the time is over. */
async function until(play: Play, isSo: () => boolean, by: number): Promise<void> {
  while (!isSo() && leftMs(play, by) > 0) await pause(LOOK_EVERY_MS, undefined, { signal: play.signal })
}
