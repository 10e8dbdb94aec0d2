/**
 * One endpoint in simulated time: so many requests at once, the others in line in the order they came. Of one that is
 * given up, work that has begun goes on, as it does in most model servers; in line it is passed over.
 */
import type { Agenda } from './agenda.ts'
import { type Pauses, type Profile, SLOTS } from './profiles.ts'
import type { SeededChance } from './seeded-chance.ts'

/** There and back. */
const NETWORK_MS = 0.2

export type Reply = { readonly status: number } | 'refused'

export interface Sent {
  /** Nobody waits for it any more. */
  isLeft: boolean
  answered(reply: Reply): void
}

interface Standing {
  readonly sent: Sent
  readonly ms: number
}

export interface EndpointParts {
  readonly index: number
  readonly agenda: Agenda
  readonly profile: Profile
  readonly chance: SeededChance
  readonly lengthMs: number
}

const WELL: Reply = { status: 200 }

export class SimulatedEndpoint {
  /** Requests that came. */
  came = 0
  readonly #parts: EndpointParts
  #line: Standing[] = []
  #head = 0
  #busy = 0

  constructor(parts: EndpointParts) {
    this.#parts = parts
  }

  take(sent: Sent): void {
    const { index, agenda, profile, chance, lengthMs } = this.#parts
    this.came += 1
    const manner = profile.manner(index, chance, { now: agenda.now, lengthMs })
    switch (manner.does) {
      case 'hang':
        return
      case 'refuse':
        this.#reply(sent, 'refused', NETWORK_MS)
        return
      case 'answer':
        this.#reply(sent, { status: manner.status }, manner.ms + NETWORK_MS)
        return
      case 'serve':
        if (this.#busy < SLOTS) this.#serve({ sent, ms: manner.ms })
        else this.#line.push({ sent, ms: manner.ms })
    }
  }

  #reply(sent: Sent, reply: Reply, afterMs: number): void {
    const { agenda } = this.#parts
    agenda.at(agenda.now + afterMs, () => {
      if (!sent.isLeft) sent.answered(reply)
    })
  }

  #serve({ sent, ms }: Standing): void {
    const { agenda, profile, index } = this.#parts
    this.#busy += 1
    const { now } = agenda
    const takes = profile.pauses === undefined ? ms : withPauses(profile.pauses, { now, ms, index })
    agenda.at(now + takes + NETWORK_MS, () => {
      this.#busy -= 1
      if (!sent.isLeft) sent.answered(WELL)
      const next = this.#next()
      if (next !== undefined) this.#serve(next)
    })
  }

  #next(): Standing | undefined {
    while (this.#head < this.#line.length) {
      const standing = this.#line[this.#head]!
      this.#head += 1
      if (this.#head > 1024) {
        this.#line = this.#line.slice(this.#head)
        this.#head = 0
      }
      if (!standing.sent.isLeft) return standing
    }
    return undefined
  }
}

interface Work {
  readonly now: number
  readonly ms: number
  readonly index: number
}

/** The work of `ms`, begun now, and the rests that fall into it. Each endpoint has its own turn. */
function withPauses({ everyMs, forMs }: Pauses, { now, ms, index }: Work): number {
  const phase = (((now - index * 1_000) % everyMs) + everyMs) % everyMs
  if (phase < forMs) return forMs - phase + ms
  return phase + ms > everyMs ? ms + forMs : ms
}
