/**
 * Measures a work in paired blocks: within a block every part is given the same run once, in random order, so that
 * what disturbs the machine for longer than a window disturbs all of them. A block that was disturbed for
 * one of them is set aside, and another one is measured in its place while there is patience.
 */
import type { Contender } from './contender.ts'
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
  const { point, running, say } = spot
  const seconds = point.seconds ?? plan.seconds
  const warm = point.warmSeconds ?? plan.warmSeconds
  const blocks: Block[] = []
  let good = 0
  const wanted = Math.min(plan.blocks, point.blocksMax ?? plan.blocks)
  for (let index = 0; good < wanted && index < wanted * PATIENCE; index += 1) {
    const windows = new Map<string, Ran>()
    for (const one of shuffled(running)) {
      say(`${work.name}, ${point.name}: block ${index + 1}, ${one.part.name}`)
      const ran = await run(stage, one, `${wordsOf(one, point, { seconds, warm })} seed=${index + 1}`)
      const problem = problemOf(ran) ?? (work.isWatched === true ? (work.faultOf?.(ran) ?? null) : null)
      if (problem !== null) throw new Error(`${work.name}, ${point.name}, ${one.part.name}: ${problem}`)
      windows.set(one.part.name, ran)
    }
    const isDisturbed = [...windows.values()].some(isWindowDisturbed)
    blocks.push({ windows, isDisturbed })
    if (!isDisturbed) good += 1
  }
  return { point, blocks }
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
