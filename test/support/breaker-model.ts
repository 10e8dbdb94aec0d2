/**
 * The breaker that lanes share, held against the plain one. A course is made of bursts: what up to four
 * lanes do at one moment, their accesses to shared memory mixed in any way. After each burst there must be an order
 * in which the plain one, doing one thing after the other, gives the same results and comes to the same state. All
 * such orders are kept, because two that look alike may be told apart only later.
 *
 * Two things are allowed that a single breaker would not do, because three counts cannot be changed and read as one:
 * others may come between a request's count and its judgement, and a judgement may miss what is counted in the same
 * burst. Never allowed: that a limit which all counts together cross is not noticed by the end of the burst.
 */
import fc from 'fast-check'
import type { BreakerSettings, Snapshot } from '../../src/domain/routes.ts'
import { BreakerMemory } from '../../src/observe/breaker-memory.ts'
import type { Verdict } from '../../src/observe/breaker-rules.ts'
import { epochOf, kindOf, nameOfKind, readAccount } from '../../src/observe/breaker-state.ts'
import { JointBreaker, type Leave, type StateChange } from '../../src/observe/joint-breaker.ts'
import { makeSnapshot } from '../observe/make-snapshot.ts'
import { Step, StoppableWords } from './interleaving.ts'
import { PlainBreaker, type Result } from './plain-breaker.ts'

export const SETTINGS: BreakerSettings = {
  windowMs: 1000,
  minRequests: 4,
  failureRate: 0.5,
  slowAfterMs: 800,
  slowRate: 0.5,
  consecutive: 3,
  openForMs: 200,
  openForMaxMs: 900,
  probes: 2,
  enforce: true,
}
export const LEASE_MS = 3000
export const LANES = 4
/** Orders kept at once; a course with more is cut short, and counted. */
const ORDERS_MAX = 400

export type Deed =
  | { readonly kind: 'admit' }
  | { readonly kind: 'end'; readonly which: number; readonly result: readonly [Verdict, number] }

export interface Burst {
  readonly pauseMs: number
  /** What each lane does, one thing after the other. */
  readonly lanes: readonly (readonly Deed[])[]
  /** Whose turn it is, again and again. */
  readonly turns: readonly number[]
  /** This lane dies after so many accesses in all; -1: none does. */
  readonly diesAfter: number
}

const verdict = fc.constantFrom<readonly [Verdict, number]>(
  ['success', 5],
  ['success', 5],
  ['success', 900],
  ['failure', 5],
  ['failure', 5],
  ['neutral', 5],
)
const deed: fc.Arbitrary<Deed> = fc.oneof(
  fc.record({ kind: fc.constant('admit' as const) }),
  fc.record({ kind: fc.constant('end' as const), which: fc.nat(5), result: verdict }),
)
export const burst = (deaths: boolean): fc.Arbitrary<Burst> =>
  fc.record({
    pauseMs: fc.oneof(fc.constant(0), fc.nat(150), fc.constantFrom(200, 400, 900), fc.nat(4000)),
    lanes: fc.oneof(
      fc.array(fc.array(deed, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 2 }),
      fc.array(fc.array(deed, { minLength: 1, maxLength: 1 }), { minLength: 1, maxLength: LANES }),
    ),
    turns: fc.array(fc.nat(LANES - 1), { minLength: 1, maxLength: 40 }),
    diesAfter: deaths ? fc.oneof(fc.constant(-1), fc.nat(25)) : fc.constant(-1),
  })

interface Done {
  readonly deed: Deed
  /** Of an end: what was ended. */
  readonly ticket: Ticket | undefined
  /** Of an admit: leave, or null when it was refused. */
  leave: Leave | null
  changes: StateChange[]
}

/** A request let in, as both sides know it. */
interface Ticket {
  readonly leave: Leave
  readonly number: number
}

interface Order {
  readonly plain: PlainBreaker
  /** By the ticket’s number: what the plain one calls the same probe. */
  readonly probes: ReadonlyMap<number, number>
  /** Results counted in this burst, and the ends among them that are not judged yet; true: the streak was crossed. */
  readonly fresh: readonly Result[]
  readonly unjudged: ReadonlyMap<
    Done,
    { readonly own: Result; readonly epoch: number; readonly must: boolean }
  >
}

export class BreakerModel {
  readonly #words: StoppableWords
  readonly #breakers: readonly JointBreaker[]
  readonly #place
  #orders: Order[] = [FIRST]
  #underway: Ticket[] = []
  #tickets = 0
  #changes: StateChange[] = []
  now = 0
  isCut = false
  readonly reached = new Set<string>()

  constructor() {
    const snapshot: Snapshot = makeSnapshot(SETTINGS)
    const ofFour = { ...snapshot, server: { ...snapshot.server, lanes: LANES } }
    const memory = new BreakerMemory(ofFour)
    this.#words = new StoppableWords(memory.create())
    this.#place = memory.placeOf(0)
    this.#breakers = Array.from(
      { length: LANES },
      (_, seat) =>
        new JointBreaker({
          words: this.#words,
          place: this.#place,
          seat,
          settings: SETTINGS,
          leaseMs: LEASE_MS,
          jitter: () => 0.5,
          wall: () => 1,
          onChange: (change) => void this.#changes.push(change),
        }),
    )
  }

  /** What the memory says, with nobody in between. */
  get state() {
    const { memory } = this.#words
    const words = { load: (at: number) => memory[at]!, store() {}, swap: () => false }
    const { state, until, level } = readAccount(words, this.#place)
    return { name: nameOfKind(kindOf(state)), epoch: epochOf(state), until, level }
  }

  run({ pauseMs, lanes, turns, diesAfter }: Burst): void {
    this.now += pauseMs
    const before = this.state.epoch
    const plans = lanes.map((deeds) => deeds.map((one) => this.#planOf(one)))
    const isWhole = this.#interleave(plans, turns, diesAfter)
    const done = plans.flat()
    const changes = done.reduce((sum, one) => sum + one.changes.length, 0)
    // Each change is told by one lane; a lane that died may have taken its announcement along.
    const made = this.state.epoch - before
    if (isWhole ? made !== changes : changes > made) throw new Error(`${made} changes, told ${changes} times`)
    if (isWhole) this.#findOrders(plans)
    for (const one of done) {
      if (one.leave !== null) this.#underway.push({ leave: one.leave, number: this.#tickets++ })
    }
    this.reached.add(this.state.name)
  }

  /**
   * Whatever was left behind by lanes that died: when leases are over and open times too, probes may try, never more
   * than there are, and when they end well the version is served. To the number of rounds that took.
   */
  recover(): number {
    for (let round = 1; round <= 3; round += 1) {
      this.now += LEASE_MS + SETTINGS.openForMaxMs
      const leaves: Leave[] = []
      for (let turn = 0; turn < 2 * LANES; turn += 1) {
        const leave = this.#alone((breaker) => breaker.admit(this.now), turn % LANES)
        if (leave !== null) leaves.push(leave)
      }
      const probes = leaves.filter(({ probe }) => probe > 0).length
      if (probes > SETTINGS.probes) throw new Error(`${probes} probes`)
      for (const leave of leaves) this.#alone((breaker) => breaker.settle(leave, 'success', 5, this.now), 0)
      if (this.state.name === 'closed') return round
    }
    throw new Error(`it is ${this.state.name} and stays so`)
  }

  #alone<T>(work: (breaker: JointBreaker) => T, lane: number): T {
    let told: T | undefined
    const operation = new Step(this.#words, () => {
      told = work(this.#breakers[lane]!)
    })
    while (!operation.isOver) operation.advance()
    return told as T
  }

  #planOf(one: Deed): Done {
    const ticket =
      one.kind === 'end'
        ? this.#underway.splice(one.which % Math.max(1, this.#underway.length), 1)[0]
        : undefined
    return { deed: one, ticket, leave: null, changes: [] }
  }

  /** False: a lane died in the middle of something. */
  #interleave(plans: readonly (readonly Done[])[], turns: readonly number[], diesAfter: number): boolean {
    const left = plans.map((plan) => [...plan])
    const running: (Step | undefined)[] = left.map(() => undefined)
    let accesses = 0
    for (let turn = 0; left.some((plan) => plan.length > 0); turn += 1) {
      const wanted = turns[turn % turns.length]!
      const lane = Array.from(left.keys(), (index) => (index + wanted) % left.length).find(
        (index) => left[index]!.length > 0,
      )!
      const plan = left[lane]!
      running[lane] ??= new Step(this.#words, () => this.#carryOut(plan[0]!, lane))
      const operation = running[lane]
      if (!operation.isOver) {
        operation.advance()
        accesses += 1
        if (accesses === diesAfter && !operation.isOver) {
          left[lane] = []
          if (left.every((one) => one.length === 0)) return false
          return this.#finishOthers(left, running)
        }
      }
      if (operation.isOver) {
        plan.shift()
        running[lane] = undefined
      }
    }
    return true
  }

  #finishOthers(left: Done[][], running: (Step | undefined)[]): boolean {
    for (const [lane, plan] of left.entries()) {
      for (let one = plan[0]; one !== undefined; one = plan[0]) {
        const current = one
        const operation = running[lane] ?? new Step(this.#words, () => this.#carryOut(current, lane))
        while (!operation.isOver) operation.advance()
        running[lane] = undefined
        plan.shift()
      }
    }
    return false
  }

  /** Runs again and again from its beginning, so it begins with nothing. */
  #carryOut(done: Done, lane: number): void {
    this.#changes = []
    const breaker = this.#breakers[lane]!
    if (done.deed.kind === 'admit') done.leave = breaker.admit(this.now)
    else if (done.ticket !== undefined) {
      const [how, totalMs] = done.deed.result
      breaker.settle(done.ticket.leave, how, totalMs, this.now)
    }
    done.changes = this.#changes
  }

  #findOrders(plans: readonly (readonly Done[])[]): void {
    const found = new Map<string, Order>()
    const numbers = new Map<Done, number>()
    let number = this.#tickets
    for (const done of plans.flat()) if (done.leave !== null) numbers.set(done, number++)
    const { name, epoch, until, level } = this.state
    const isIt = ({ plain }: Order): boolean =>
      plain.name === name &&
      plain.epoch === epoch &&
      plain.level === level &&
      (name !== 'open' || plain.until === until)
    const visited = new Set<string>()
    const visit = (order: Order, places: readonly number[]): void => {
      const key = `${places.join()} ${keyOf(order)}`
      if (visited.has(key)) return
      visited.add(key)
      let isEnd = true
      for (const [lane, plan] of plans.entries()) {
        const place = places[lane]!
        const done = plan[place >> 1]
        if (done === undefined) continue
        isEnd = false
        const next = places.map((one, index) => (index === lane ? one + 1 : one))
        const afters =
          (place & 1) === 0 ? begin(order, done, numbers.get(done), this.now) : judge(order, done, this.now)
        for (const one of afters) visit(one, next)
      }
      const isMissed =
        order.fresh.length > 0 && order.plain.name === 'closed' && order.plain.isCrossed(this.now)
      if (isEnd && isIt(order) && !isMissed) found.set(keyOf(order), { ...order, fresh: [], unjudged: NONE })
    }
    for (const order of this.#orders)
      visit(
        order,
        plans.map(() => 0),
      )
    if (found.size === 0) {
      const told = plans.map((plan) => plan.map(({ deed: what, leave }) => [what, leave]))
      const states = this.#orders.map(({ plain }) => `${plain.name} ${plain.epoch}`)
      throw new Error(
        `no order of these gives ${name} ${epoch}, level ${level}, at ${this.now}: ${JSON.stringify({ told, states })}`,
      )
    }
    if (found.size > ORDERS_MAX) this.isCut = true
    this.#orders = [...found.values()].slice(0, ORDERS_MAX)
  }
}

const NONE: Order['unjudged'] = new Map()
const FIRST: Order = {
  plain: new PlainBreaker(SETTINGS, LEASE_MS),
  probes: new Map(),
  fresh: [],
  unjudged: NONE,
}

/** What the plain one does with it, or with its first half; empty: not what the lanes saw. */
function begin(order: Order, done: Done, number: number | undefined, now: number): readonly Order[] {
  const { deed: what, leave, ticket } = done
  const plain = order.plain.copy()
  if (what.kind === 'admit') {
    const probe = plain.admit(now)
    if (probe === null || leave === null) return probe === null && leave === null ? [{ ...order, plain }] : []
    if (leave.epoch !== plain.epoch || (leave.probe === 0) !== (probe === 0)) return []
    return [{ ...order, plain, probes: new Map(order.probes).set(number!, probe) }]
  }
  if (ticket === undefined) return [order]
  const { epoch } = ticket.leave
  if (!plain.count(epoch, what.result, now)) {
    plain.endProbe(epoch, order.probes.get(ticket.number) ?? 0, what.result, now)
    return [{ ...order, plain }]
  }
  const own = plain.results.at(-1)!
  const unjudged = new Map(order.unjudged).set(done, { own, epoch, must: plain.isStreakCrossed })
  return [{ ...order, plain, fresh: [...order.fresh, own], unjudged }]
}

/** The second half of an end that was counted. */
function judge(order: Order, done: Done, now: number): readonly Order[] {
  const waiting = order.unjudged.get(done)
  if (waiting === undefined) return [order]
  const unjudged = new Map(order.unjudged)
  unjudged.delete(done)
  const { plain, fresh } = order
  const passed = { ...order, unjudged }
  if (plain.name !== 'closed' || plain.epoch !== waiting.epoch) return [passed]
  const tripped = plain.copy()
  tripped.trip(now)
  const opened = { ...passed, plain: tripped, fresh: [] }
  if (waiting.must) return [opened]
  const settled = plain.results.filter((one) => !fresh.includes(one))
  const others = fresh.filter((one) => one !== waiting.own)
  const calm = plain.copy()
  calm.streak = 0
  for (let seen = 0; seen < 1 << others.length; seen += 1) {
    const results = [...settled, waiting.own, ...others.filter((_, index) => (seen >> index) & 1)]
    if (calm.isCrossed(now, results)) return [passed, opened]
  }
  return [passed]
}

/** Two orders that have come to the same. */
function keyOf({ plain, probes, unjudged }: Order): string {
  let key = `${plain.name}${plain.epoch},${plain.streak},${plain.level},${plain.until},${plain.issued},${plain.succeeded}`
  for (const { bucket, failed, slow } of plain.results)
    key += `,${bucket}${failed ? 'f' : ''}${slow ? 's' : ''}`
  for (const { number, expiresAt } of plain.probes) key += `;${number}:${expiresAt}`
  for (const [number, probe] of probes) key += probe === 0 ? '' : `/${number}:${probe}`
  for (const { must } of unjudged.values()) key += must ? '!' : '?'
  return key
}
