/**
 * Repeats over several lanes, held against a reference that keeps everything in one map: whatever is asked, kept, let go
 * of and forgotten, in whatever order, on whatever lane, no key is ever in two hands and no repeat gets another's answer.
 */
import fc from 'fast-check'
import t from 'tap'
import { makeCallerMemory } from '../../src/callers/caller-memory.ts'
import type { PeerMessage } from '../../src/callers/peer-answers.ts'
import { type Pledge, type Repeat, Repeats } from '../../src/callers/repeats.ts'
import type { Snapshot } from '../../src/domain/routes.ts'
import { Sweep } from '../../src/kernel/sweep.ts'
import { makeModel } from '../support/make-model.ts'
import { ManualClock } from '../support/manual-clock.ts'

const TTL_MS = 60_000
const LANES = 3
const MODEL = makeModel({ idempotency: { ttlMs: TTL_MS, bytesMax: 16 * 1024 * 1024, by: [] } })
const SNAPSHOT = {
  models: new Map([['fraud', MODEL]]),
  rates: [],
  server: { lanes: LANES },
} as unknown as Snapshot

type Step =
  | { readonly do: 'ask'; readonly lane: number; readonly key: number; readonly body: number }
  | { readonly do: 'end'; readonly which: number; readonly isKept: boolean }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'restart'; readonly lane: number }

const lane = fc.integer({ min: 0, max: LANES - 1 })
const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('ask' as const),
        lane,
        key: fc.integer({ min: 0, max: 3 }),
        body: fc.integer({ min: 0, max: 1 }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('end' as const), which: fc.nat(5), isKept: fc.boolean() }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(45_000) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), lane }) },
  ),
  { minLength: 5, maxLength: 60, size: 'max' },
)

/** What the reference knows of a key. */
type Known =
  | { readonly kind: 'under-way'; readonly lane: number; readonly number: number }
  | {
      readonly kind: 'kept'
      readonly lane: number
      readonly id: string
      readonly body: number
      readonly until: number
    }

class World {
  readonly #clock = new ManualClock()
  readonly #sweep = new Sweep(this.#clock)
  readonly #memory = makeCallerMemory(SNAPSHOT)
  readonly #sent: { readonly from: number; readonly message: PeerMessage }[] = []
  readonly #lanes = Array.from({ length: LANES }, (_, lane) => this.#start(lane))
  readonly #known = new Map<number, Known>()
  #pledges: {
    readonly number: number
    readonly lane: number
    readonly key: number
    readonly body: number
    readonly pledge: Pledge
  }[] = []
  #number = 0

  /** Throws where the lanes and the reference disagree. */
  step(step: Step): void {
    if (step.do === 'ask') this.#ask(step)
    else if (step.do === 'end') this.#end(step)
    else if (step.do === 'wait') this.#clock.advance(step.ms)
    else this.#restart(step.lane)
  }

  stop(): void {
    this.#sweep.stop()
  }

  #start(lane: number): Repeats {
    return new Repeats({
      snapshot: SNAPSHOT,
      memory: this.#memory,
      lane,
      clock: this.#clock,
      sweep: this.#sweep,
      send: (message) => void this.#sent.push({ from: lane, message: structuredClone(message) }),
      onChange: () => {},
    })
  }

  #ask({ lane, key, body }: Extract<Step, { do: 'ask' }>): void {
    const known = this.#current(key)
    let seen: Repeat | undefined
    this.#lanes[lane]!.begin(MODEL, { key: `key ${key}`, fingerprint: `body ${body}` }, (repeat) => {
      seen = repeat
    })
    for (let next = this.#sent.shift(); next !== undefined; next = this.#sent.shift()) {
      for (const [other, repeats] of this.#lanes.entries()) {
        if (other !== next.from) repeats.receive(next.message)
      }
    }
    const expected =
      known === undefined
        ? 'first'
        : known.kind === 'under-way'
          ? 'under-way'
          : known.body === body
            ? known.id
            : 'mismatch'
    const found = seen?.kind === 'kept' ? seen.kept.id : seen?.kind
    if (found !== expected) throw new Error(`key ${key} on lane ${lane}: ${found}, not ${expected}`)
    if (seen?.kind !== 'first') return
    this.#number += 1
    this.#known.set(key, { kind: 'under-way', lane, number: this.#number })
    this.#pledges.push({ number: this.#number, lane, key, body, pledge: seen.pledge })
  }

  #end({ which, isKept }: Extract<Step, { do: 'end' }>): void {
    const [ended] = this.#pledges.splice(which % Math.max(1, this.#pledges.length), 1)
    if (ended === undefined) return
    const { number, lane, key, body, pledge } = ended
    const known = this.#known.get(key)
    const isOwn = known?.kind === 'under-way' && known.number === number
    if (!isKept) {
      pledge.release()
      if (isOwn) this.#known.delete(key)
      return
    }
    const id = `id ${number}`
    const answer = { status: 200, headers: [], body: Buffer.from(id) }
    const wasKept = pledge.keep({ id, served: 'v1', reason: 'primary', degraded: '', ageAtFirst: 0, answer })
    if (wasKept !== isOwn) throw new Error(`the pledge of key ${key} was ${wasKept ? '' : 'not '}kept`)
    if (isOwn) this.#known.set(key, { kind: 'kept', lane, id, body, until: this.#clock.now() + TTL_MS })
  }

  /** Its thread died: what was under way there ends no more, and what it kept is gone. */
  #restart(lane: number): void {
    this.#pledges = this.#pledges.filter((pledge) => pledge.lane !== lane)
    this.#lanes[lane] = this.#start(lane)
    for (const [key, known] of this.#known) if (known.lane === lane) this.#known.delete(key)
  }

  #current(key: number): Known | undefined {
    const known = this.#known.get(key)
    return known?.kind === 'kept' && known.until < this.#clock.now() ? undefined : known
  }
}

t.test('in whatever order things happen, lanes and reference agree', async (t) => {
  let asked = 0
  fc.assert(
    fc.property(steps, (all) => {
      const world = new World()
      try {
        for (const step of all) world.step(step)
        asked += all.length
      } finally {
        world.stop()
      }
    }),
    { numRuns: 50 },
  )
  t.ok(asked > 500, `${asked} steps`)
})
