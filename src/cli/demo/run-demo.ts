/**
 * One whole demo: sets the stage, lets the story happen under load, clears the stage, reads what is on the
 * disk, reports. Ends everything it started on every way out.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { findDecision } from '../../audit/find.ts'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import type { Io } from '../io.ts'
import { type DurationStats, readStats } from './admin-client.ts'
import { BreakerWatch, type Change } from './breaker-watch.ts'
import { checksOf } from './checks.ts'
import { gatherEvidence } from './evidence.ts'
import { interruption } from './interruption.ts'
import { type CallerAnswer, Load } from './load.ts'
import type { DemoOptions } from './options.ts'
import { paintFor } from './paint.ts'
import { Progress } from './progress.ts'
import { renderReport } from './render.ts'
import { replayDigits } from './replay-digits.ts'
import { replayFlights } from './replay-flights.ts'
import { cueSheet } from './replay-set.ts'
import { type DemoReport, reportOf } from './report.ts'
import { isStage, modelsBeside, type NoStage, type Stage, setStage } from './stage.ts'
import { type Spell, tellStory } from './story.ts'
import { type Receipt, Tally } from './tally.ts'
import { nextLines } from './where-next.ts'

/**
 * Threads are planned as for two cores on every machine: one lane, so that the story is the same everywhere.
 */
const CORES = 2
/** Shadows and comparisons of the last requests; their timeouts are longer, but nothing is slow by then. */
const SETTLE_MS = 500
const DRAW_EVERY_MS = 200
/** The first requests are the first that compilers, pools and caches see. */
const WARM_UP_MS = 4000

export async function runDemo(options: DemoOptions, io: Io): Promise<number | NoStage> {
  const clock = systemClock
  const since = clock.wall()
  const progress = progressOn(options, io, clock)
  const { configFile, modelServerFile } = options
  const log = (line: string): void => progress.say(line, 'aside')
  const stage = await setStage({ configFile, modelServerFile, cores: CORES, clock, log })
  if (!isStage(stage)) return stage
  const played = await play({ options, stage, progress, clock }, io)
  if (played === null) return 1
  const report = await conclude(played, { stage, since })
  if (options.json) io.stdout(`${JSON.stringify(report, null, 2)}\n`)
  else
    io.stdout(renderReport(report, paintFor(io.color), nextLines(configFile, exampleId(report), stage.admin)))
  return report.passed ? 0 : 1
}

function progressOn({ json }: DemoOptions, io: Io, clock: Clock): Progress {
  const write = (text: string): void => (json ? io.stderr(text) : io.stdout(text))
  return new Progress({ write, isTerminal: io.color && !json, columns: process.stdout.columns ?? 100, clock })
}

interface Play {
  readonly options: DemoOptions
  readonly stage: Stage
  readonly progress: Progress
  readonly clock: Clock
}

interface Played {
  readonly tally: Tally
  readonly sent: number
  readonly seconds: number
  readonly spells: readonly Spell[]
  readonly changes: readonly Change[]
  readonly stats: readonly DurationStats[]
}

/** Null when it was interrupted or a part was lost; the reason was said then. */
async function play({ options, stage, progress, clock }: Play, io: Io): Promise<Played | null> {
  const over = new AbortController()
  const { signal } = over
  const tally = new Tally()
  const { admin, inference } = stage
  const watch = new BreakerWatch({
    admin,
    clock,
    signal,
    onChange: (change) => progress.say(lineOf(change), 'aside'),
  })
  const models = modelsBeside(options.configFile)
  const cue = cueSheet([replayFlights(models), replayDigits(models)])
  const { perSecond, requests } = options
  const startedAt = clock.now()
  const onAnswer = (answer: CallerAnswer): void => tally.add(answer)
  const load = new Load({ ...inference, perSecond, warmUpMs: WARM_UP_MS, cue, clock, onAnswer })
  const drawing = keepDrawing({ progress, load, tally, clock, requests })
  const story = tellStory({
    stage,
    load,
    tally,
    watch,
    progress,
    clock,
    signal,
    requests,
    perSecond,
    onPhase: drawing.phase,
  })
  const interrupted = interruption(clock)
  try {
    const spells = await Promise.race([story, stage.failed, interrupted.happened])
    if (spells instanceof Error) throw spells
    const seconds = (clock.now() - startedAt) / 1000
    await pause(SETTLE_MS)
    await watch.look()
    return { tally, sent: load.sent, seconds, spells, changes: watch.changes, stats: await readStats(admin) }
  } catch (error) {
    progress.end()
    io.stderr(`modelgate demo: ${(error as Error).message}; stopping\n`)
    return null
  } finally {
    over.abort()
    // A story that lost the race ends with a rejection nobody needs.
    story.catch(() => {})
    drawing.end()
    load.close()
    progress.end()
    await stage.clear('the demo is over')
    interrupted.end()
  }
}

function lineOf({ model, version, from, to, why }: Change): string {
  return `${model}/${version} ${from} → ${to}: ${why}`
}

interface Drawn {
  readonly progress: Progress
  readonly load: Load
  readonly tally: Tally
  readonly clock: Clock
  readonly requests: number
}

/** The rate shown is that of the last second. */
function keepDrawing({ progress, tally, clock, requests }: Drawn): {
  phase(name: string): void
  end(): void
} {
  let phase = ''
  let samples = [{ at: clock.now(), answers: 0 }]
  const draw = (): void => {
    const now = clock.now()
    const { ok, degraded, failed, answers } = tally
    samples = [...samples.filter(({ at }) => at > now - 1000), { at: now, answers }]
    const first = samples[0]!
    const perSecond = (1000 * (answers - first.answers)) / Math.max(1, now - first.at)
    progress.at({ phase, done: answers, of: Math.max(requests, answers), perSecond, ok, degraded, failed })
  }
  const timer = setInterval(draw, DRAW_EVERY_MS)
  return {
    phase: (name) => {
      phase = name
    },
    end: () => clearInterval(timer),
  }
}

async function conclude(
  played: Played,
  { stage, since }: { stage: Stage; since: number },
): Promise<DemoReport> {
  const { tally, sent, seconds, spells, changes, stats } = played
  const { dataDir } = stage.snapshot.server
  const evidence = await gatherEvidence(dataDir, since, tally.receipts)
  const checks = checksOf({ sent, tally, evidence, stats, spells })
  const telling = tellingReceipt(tally.receipts)
  const example = telling === undefined ? null : await findDecision(dataDir, telling.id)
  return reportOf({ checks, sent, seconds, dataDir, tally, stats, evidence, changes, spells, example })
}

/** The request that shows most: one whose version was refused by its breaker and replaced by another. */
function tellingReceipt(receipts: readonly Receipt[]): Receipt | undefined {
  return (
    receipts.find(({ error, degraded }) => error === 'breaker-open' && degraded.startsWith('version:')) ??
    receipts.find(({ degraded }) => degraded !== '') ??
    receipts.at(-1)
  )
}

function exampleId({ example }: DemoReport): string {
  return example?.id ?? 'REQUEST-ID'
}
