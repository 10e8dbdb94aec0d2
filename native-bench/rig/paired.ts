/**
 * Measures a work in paired blocks: within a block every part is given the same run once, in random order, so that
 * what disturbs the machine for longer than a window disturbs all of them. A block that was disturbed for
 * one of them is set aside, and another one is measured in its place while there is patience.
 */
import { pause } from './bench-process.ts'
import type { Contender } from './contender.ts'
import { cpuTime, spentBetween } from './cpu-time.ts'
import type { Ran } from './load.ts'
import { filled } from './served.ts'
import { shuffled } from './statistics.ts'
import type { PairedWork, Part, Point, Stage } from './work.ts'

export interface Plan {
  readonly blocks: number
  readonly seconds: number
  readonly warmSeconds: number
  /** Of JavaScript: compiled code is what runs for days. */
  readonly firstSeconds: number
}

/** What a window may show of its surroundings before its block is set aside. */
export const LIMITS = {
  /** Of the measured core, used by others than the part. */
  othersShare: 0.1,
  /** The generator's own p99, µs, where it is more than a tenth of the latency it measures. */
  lagUs: 200,
  stolenShare: 0.01,
} as const
/** Blocks that are measured for one that is wanted, at most. */
const PATIENCE = 1.5
/** Blocks of a point in which a request may fail, before that is taken for the part's own doing. */
const BROKEN_MAX = 2
/** Of a core, by each part that is not asked; more is work that a window before left behind, as sealing and indexing. */
const IDLE_SHARE = 0.05
const IDLE_LOOK_MS = 250
/** What a part still does then is its own affair. */
const SETTLE_MS_MAX = 10_000
/** Of parts that are compiled before they run: connections are opened, pages touched. */
const FIRST_SECONDS = 0.3

export interface Block {
  readonly windows: ReadonlyMap<string, Ran>
  readonly isDisturbed: boolean
}

export interface Measured {
  readonly point: Point
  readonly blocks: readonly Block[]
}

interface Running {
  readonly part: Part
  readonly contender: Contender
}

/** Everything of a work, `done` as each point is; what is in `known` already is not measured again. */
export async function measureWork(
  work: PairedWork,
  stage: Stage,
  plan: Plan,
  { isKnown, done, say }: Follower,
): Promise<void> {
  const points = work.points.filter(({ name }) => !isKnown(name))
  if (points.length === 0) return
  const running: Running[] = []
  try {
    for (const part of work.parts) {
      const contender = await part.start(stage)
      if (contender !== undefined) running.push({ part, contender })
    }
    for (const one of running) await prove(work, stage, one, points[0]!)
    for (const one of running) {
      say(`warming ${one.part.name}`)
      const seconds = one.part.isCompiledLate === true ? plan.firstSeconds : FIRST_SECONDS
      await run(stage, one, wordsOf(one, points[0]!, { rate: 0, seconds, warm: 0 }))
    }
    for (const point of points) done(await measurePoint(work, stage, plan, { point, running, say }))
  } finally {
    for (const { contender } of running) await contender.stop()
  }
}

export interface Follower {
  isKnown(point: string): boolean
  done(measured: Measured): void
  say(what: string): void
}

/** Some are not asked over a connection and know how to measure themselves. */
function run({ load, values }: Stage, { contender }: Running, words: string): Promise<Ran> {
  const text = filled(words, values)
  return contender.measure === undefined ? load.run(text) : contender.measure(text)
}

interface Spot {
  readonly point: Point
  readonly running: readonly Running[]
  say(what: string): void
}

async function measurePoint(work: PairedWork, stage: Stage, plan: Plan, spot: Spot): Promise<Measured> {
  const { point, say } = spot
  const seconds = point.seconds ?? plan.seconds
  const warm = point.warmSeconds ?? plan.warmSeconds
  const wanted = Math.min(plan.blocks, point.blocksMax ?? plan.blocks)
  const blocks: Block[] = []
  let broken = 0
  let good = 0
  for (let index = 0; good < wanted && index < wanted * PATIENCE + broken; index += 1) {
    say(`${work.name}, ${point.name}: block ${index + 1}`)
    const block = await measureBlock(work, stage, spot, { seconds, warm, seed: index + 1 })
    if (typeof block === 'string') {
      console.error(`NOT COUNTED: ${work.name}, ${point.name}, block ${index + 1}: ${block}`)
      broken += 1
      if (broken > BROKEN_MAX) throw new Error(block)
      continue
    }
    blocks.push(block)
    if (!block.isDisturbed) good += 1
  }
  return { point, blocks }
}

/** Every part once, in random order; what went wrong, in words, where something did. */
async function measureBlock(
  work: PairedWork,
  stage: Stage,
  { point, running }: Spot,
  more: Readonly<Record<string, number>>,
): Promise<Block | string> {
  const windows = new Map<string, Ran>()
  for (const one of shuffled(running)) {
    await settled(running)
    const ran = await run(stage, one, wordsOf(one, point, more))
    const fault = work.isWatched === true ? (work.faultOf?.(ran) ?? null) : null
    const problem = problemOf(ran) ?? fault
    if (problem !== null) return `${one.part.name}: ${problem}`
    windows.set(one.part.name, ran)
  }
  return { windows, isDisturbed: [...windows.values()].some(isWindowDisturbed) }
}

/** Until what was asked of one part no longer takes the core, and the disk, from the next. */
async function settled(running: readonly Running[]): Promise<void> {
  const processes = running.flatMap(({ contender }) => contender.processes())
  const most = IDLE_SHARE * IDLE_LOOK_MS * 1e6 * running.length
  for (let waited = 0; waited < SETTLE_MS_MAX; waited += IDLE_LOOK_MS) {
    const before = cpuTime(processes)
    await pause(IDLE_LOOK_MS)
    if (spentBetween(before, cpuTime(processes)) < most) return
  }
}

/** The work is the work: every byte compared, every answer counted, copies and shares as they should be. */
async function prove(work: PairedWork, stage: Stage, one: Running, point: Point): Promise<void> {
  await stage.load.count()
  const words = wordsOf(one, point, { rate: work.proofRate ?? 2000, seconds: 0.8, warm: 0, connections: 16 })
  const ran = await run(stage, one, `${words} verify=${work.hasOtherBodies === true ? 0 : 1}`)
  const wrong = ran.endpoints.some(({ wrongBodies }) => wrongBodies > 0) ? 'a request arrived changed' : null
  const fault = problemOf(ran) ?? wrong ?? work.faultOf?.(ran) ?? null
  if (fault !== null) throw new Error(`${work.name}: ${one.part.name} does not do the work: ${fault}`)
}

function problemOf(ran: Ran): string | null {
  const bad = ran.failed + ran.wrongStatus + ran.wrongBody
  if (ran.problem === '' && bad === 0) return null
  return `${ran.problem} (${ran.failed} failed, ${ran.wrongStatus} other statuses, ${ran.wrongBody} wrong bodies)`
}

function wordsOf(one: Running, point: Point, more: Readonly<Record<string, number>>): string {
  const { contender, part } = one
  const own = part.words === undefined ? '' : ` ${part.words}`
  const last = Object.entries(more).map(([key, value]) => ` ${key}=${value}`)
  const pids = contender.processes().length === 0 ? '' : ` pids=${contender.processes().join(',')}`
  return `to=${contender.port}${pids} ${point.words}${own}${last.join('')}`
}

export function isWindowDisturbed(ran: Ran): boolean {
  const elapsedNs = ran.seconds * 1e9
  const others = (ran.coreBusyNs - ran.cpuNs) / elapsedNs
  const isLate = ran.lag.count > 0 && ran.lag.p99 > LIMITS.lagUs && ran.lag.p99 > ran.latency.p99 / 10
  return others > LIMITS.othersShare || ran.coreStolenNs / elapsedNs > LIMITS.stolenShare || isLate
}
