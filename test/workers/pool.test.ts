/** The pool itself, on real threads: who gets work first, and what becomes of threads that end. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../src/kernel/clock.ts'
import { Sweep } from '../../src/kernel/sweep.ts'
import type { LoadResult, ModelSource } from '../../src/workers/messages.ts'
import { type Seat, type Work, WorkerPool, type WorkSource } from '../../src/workers/pool.ts'
import { eventually } from '../support/eventually.ts'

const folder = mkdtempSync(join(tmpdir(), 'modelgate-pool-'))
t.teardown(() => rmSync(folder, { recursive: true }))

function source(name: string, code: string): ModelSource {
  const file = join(folder, `${name}.mjs`)
  writeFileSync(file, code)
  return { runtime: 'javascript', model: 'm', version: name, file, fileAsWritten: `${name}.mjs` }
}

const good = source('good', 'export const score = () => ({})')
const exits = source('exits', 'process.exit(9)')
const hangs = source('hangs', 'for (;;);')

/** Hands out its loads in order and writes down what became of each. */
class Loads implements WorkSource {
  readonly told: string[] = []
  readonly seats: Seat[] = []
  readonly #waiting: ModelSource[] = []
  readonly #killAfterMs: number
  #idle: (() => void) | undefined
  #open = 0

  constructor(killAfterMs = 30_000) {
    this.#killAfterMs = killAfterMs
  }

  add(...sources: readonly ModelSource[]): Promise<void> {
    this.#waiting.push(...sources)
    this.#open += sources.length
    return new Promise((resolve) => {
      this.#idle = resolve
    })
  }

  take(seat: Seat): Work | null {
    const next = this.#waiting.shift()
    if (next === undefined) return null
    this.seats.push(seat)
    return {
      task: 'load',
      message: { source: next },
      transfer: [],
      killAt: systemClock.now() + this.#killAfterMs,
      isNative: false,
      done: (result) => this.#tell(`${next.version}: ${(result as LoadResult).loaded}`),
      died: (cause) => this.#tell(`${next.version}: ${cause}`),
    }
  }

  #tell(words: string): void {
    this.told.push(words)
    this.#open -= 1
    if (this.#open === 0) this.#idle?.()
  }
}

function poolOf(threads: number): { pool: WorkerPool; sweep: Sweep } {
  const sweep = new Sweep(systemClock)
  return { pool: new WorkerPool({ threads, clock: systemClock, sweep }), sweep }
}

t.test('whoever is served first gets every free thread first', async (t) => {
  const { pool, sweep } = poolOf(1)
  t.teardown(() => pool.close())
  const order: string[] = []
  const listed = (name: string, loads: Loads): WorkSource => ({
    take: (seat) => {
      const work = loads.take(seat)
      if (work !== null) order.push(name)
      return work
    },
  })
  const [first, second] = [new Loads(), new Loads()]
  pool.serve(listed('first', first), listed('second', second))
  const all = Promise.all([second.add(good, good), first.add(good, good)])
  pool.start()
  pool.start()
  await all
  t.same(order, ['first', 'first', 'second', 'second'])
  t.equal(pool.seats.length, 1)
  t.equal(sweep.size, 0, 'no watch is left')
})

t.test('every thread gets work, and none two pieces at a time', async (t) => {
  const { pool } = poolOf(2)
  t.teardown(() => pool.close())
  const loads = new Loads()
  pool.serve(loads)
  pool.start()
  await loads.add(good, good, good, good, good, good)
  t.equal(new Set(loads.seats.map((seat) => seat.thread)).size, 2)
  t.ok(pool.seats.every((seat) => !seat.busy))
})

t.test('a thread that ends or hangs is told to its own work, reported and replaced', async (t) => {
  const { pool } = poolOf(1)
  t.teardown(() => pool.close())
  const loads = new Loads(2000)
  const lost: Seat[] = []
  pool.onLost = (seat) => lost.push(seat)
  pool.serve(loads)
  pool.start()
  await loads.add(exits, good, hangs, good)
  t.same(loads.told, [
    'exits: worker exited with code: 9',
    'good: true',
    'hangs: it did not end in time and was stopped',
    'good: true',
  ])
  t.equal(pool.deaths, 2)
  t.same(
    lost.map((seat) => seat.thread),
    [loads.seats[0], loads.seats[2]].map((seat) => seat?.thread),
  )
  t.equal(pool.seats.length, 1)
})

t.test('closing ends threads that are idle, busy or hanging, and settles their work', async (t) => {
  const { pool, sweep } = poolOf(2)
  const loads = new Loads()
  pool.serve(loads)
  pool.start()
  const told = loads.add(good, hangs)
  await eventually(() => loads.told.length === 1 && loads.seats.length === 2, {
    until: 'one hangs, one is idle',
  })
  await pool.close()
  await pool.close()
  await told
  t.equal(loads.told.length, 2)
  t.match(loads.told[1], /^hangs: .*terminat/i)
  t.equal(pool.seats.length, 0)
  t.equal(sweep.size, 0)
  pool.start()
  t.equal(pool.seats.length, 0, 'a closed pool stays closed')
})
