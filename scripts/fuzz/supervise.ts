/**
 * Watches a campaign from another process, because one that spins cannot tell that it does. It is ended, with all
 * processes it started, when it is silent, when one case takes too long, when its time is long over, and when its
 * work is done but its process stays: each prints what it was at, and none of these counts as passed.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { resolve } from 'node:path'

export interface Run {
  readonly name: string
  readonly cases: number
  readonly seed: number
  readonly minutes: number
}

/** What a campaign tells of itself. */
export interface Beat {
  readonly underWay: readonly string[]
  /** Its report is printed; nothing but the end of its process is to come. */
  readonly isOver: boolean
}

export const BEAT_MS = 1_000
/** Silence, or one case, or the end of the process; the slowest cases wait 17 s for a timer of the server. */
const PATIENCE_MS = 60_000
/** For what was begun in time. */
const GRACE_MS = 120_000
const PROGRAM = resolve(import.meta.dirname, 'run-campaign.js')

/** True when every law held. `program` and `patienceMs` are for tests of this file. */
export async function supervise(run: Run, patienceMs = PATIENCE_MS, program = PROGRAM): Promise<boolean> {
  console.log(`${run.name}: ${run.cases} cases from seed ${run.seed}, at most ${run.minutes} minutes`)
  const child = fork(program, [JSON.stringify(run)], { detached: true })
  const watch = new Watch(run, patienceMs)
  child.on('message', (beat) => watch.heard(beat as Beat))
  const looking = setInterval(() => {
    const why = watch.problem()
    if (why === '') return
    clearInterval(looking)
    console.log(`\n${why}\n  npm run fuzz -- ${run.name} --cases ${run.cases} --seed ${run.seed}`)
    for (const words of watch.underWay) console.log(`  under way: ${words}`)
    end(child)
  }, BEAT_MS)
  const leave = (): void => {
    end(child)
    process.exit(130)
  }
  process.once('SIGINT', leave).once('SIGTERM', leave)
  const held = await new Promise<boolean>((done) => child.on('exit', (code) => done(code === 0)))
  clearInterval(looking)
  process.removeListener('SIGINT', leave).removeListener('SIGTERM', leave)
  return held
}

class Watch {
  #heardAt = performance.now()
  readonly #endsAt: number
  readonly #patienceMs: number
  #isOver = false
  /** With when it was first heard of. */
  #underWay = new Map<string, number>()

  constructor({ minutes }: Run, patienceMs: number) {
    this.#patienceMs = patienceMs
    this.#endsAt = performance.now() + minutes * 60_000 + GRACE_MS
  }

  get underWay(): readonly string[] {
    return [...this.#underWay.keys()]
  }

  heard({ underWay, isOver }: Beat): void {
    this.#heardAt = performance.now()
    this.#isOver = isOver
    this.#underWay = new Map(underWay.map((words) => [words, this.#underWay.get(words) ?? this.#heardAt]))
  }

  /** Why it must be ended; empty while all is well. */
  problem(): string {
    const now = performance.now()
    const isSilent = now - this.#heardAt > this.#patienceMs
    if (isSilent)
      return this.#isOver ? 'all cases are done, but the process does not end' : 'the process spins'
    const stuck = [...this.#underWay].find(([, since]) => now - since > this.#patienceMs)
    if (stuck !== undefined) return `a case hangs: ${stuck[0]}`
    return now > this.#endsAt ? 'the time is over, and it does not end' : ''
  }
}

/** With everything it started. */
function end({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It ended in this moment.
  }
}
