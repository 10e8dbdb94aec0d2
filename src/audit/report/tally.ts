/** The rows of the one pass over the decisions, added up for each thing that a report tells. */

import { type EndingClass, endingClassOf } from './ending-class.ts'
import type { Facts, TrafficFact } from './facts.ts'
import { Latencies } from './latencies.ts'

/** One version, in the whole range or in one period of it. */
export class VersionTally {
  answers = 0
  meant = 0
  troubled = 0
  readonly latencies = new Latencies()
}

/** The same over time. */
export class VersionCourse extends VersionTally {
  readonly answersOverTime: number[]
  readonly meantOverTime: number[]
  readonly troubledOverTime: number[]
  readonly latenciesOverTime: Latencies[]

  constructor(slots: number) {
    super()
    this.answersOverTime = new Array<number>(slots).fill(0)
    this.meantOverTime = new Array<number>(slots).fill(0)
    this.troubledOverTime = new Array<number>(slots).fill(0)
    this.latenciesOverTime = Array.from({ length: slots }, () => new Latencies())
  }
}

export class PeriodTally {
  requests = 0
  readonly versions = new Map<string, VersionTally>()
}

export class EndingTally {
  requests = 0
  readonly overTime: number[]

  constructor(slots: number) {
    this.overTime = new Array<number>(slots).fill(0)
  }
}

export class Tally {
  readonly counts: Record<EndingClass, number> = { answered: 0, degraded: 0, failed: 0, callersDoing: 0 }
  requests = 0
  kept = 0
  readonly versions = new Map<string, VersionCourse>()
  readonly endings = new Map<string, EndingTally>()
  readonly periods: readonly PeriodTally[]
  readonly #slots: number

  constructor({ slots, cuts, traffic }: Pick<Facts, 'slots' | 'cuts' | 'traffic'>) {
    this.#slots = slots.starts.length
    this.periods = Array.from({ length: cuts.length + 1 }, () => new PeriodTally())
    for (const row of traffic) this.#add(row)
  }

  #add(row: TrafficFact): void {
    const { slot, requests, version, meant, isKept } = row
    const ending = endingClassOf(row.outcome, row.degraded)
    const period = this.periods[row.period]!
    this.requests += requests
    this.counts[ending] += requests
    period.requests += requests
    if (isKept) this.kept += requests
    const end = taken(this.endings, row.outcome, () => new EndingTally(this.#slots))
    end.requests += requests
    end.overTime[slot]! += requests
    if (version !== '') {
      const course = this.#course(version)
      answered(course, row)
      course.answersOverTime[slot]! += requests
      course.latenciesOverTime[slot]!.add(row.bin, requests)
      answered(
        taken(period.versions, version, () => new VersionTally()),
        row,
      )
    }
    if (meant === '' || ending === 'callersDoing') return
    const troubled = ending === 'answered' ? 0 : requests
    const course = this.#course(meant)
    course.meantOverTime[slot]! += requests
    course.troubledOverTime[slot]! += troubled
    for (const tally of [course, taken(period.versions, meant, () => new VersionTally())]) {
      tally.meant += requests
      tally.troubled += troubled
    }
  }

  #course(version: string): VersionCourse {
    return taken(this.versions, version, () => new VersionCourse(this.#slots))
  }
}

function answered(tally: VersionTally, { requests, bin }: TrafficFact): void {
  tally.answers += requests
  tally.latencies.add(bin, requests)
}

/** What the map has, made first where it has nothing. */
export function taken<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
