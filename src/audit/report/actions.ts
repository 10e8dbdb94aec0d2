/** What the gateway did by itself: breakers, endpoints that were passed over, declared consequences, lanes, pressure. */
import type { EventFact, Facts, Range } from './facts.ts'
import { isoOf, numberOf, textOf } from './field.ts'
import type { Actions, BreakerSummary, EndpointSummary, Spell, Touched } from './report.ts'
import { taken } from './tally.ts'

export function actionsOf({ events, range, consequences }: Facts): Actions {
  const within = events.filter(({ at }) => at >= range.from && at < range.to)
  const all = consequences.find(({ consequence }) => consequence === '')
  const levels = within
    .filter(({ type }) => type === 'pressure')
    .map(({ details }) => numberOf(details, 'to'))
  return {
    breakers: breakersOf(events, range),
    endpoints: endpointsOf(events, range),
    consequences: consequences
      .filter(({ consequence }) => consequence !== '')
      .sort((a, b) => b.requests - a.requests),
    touched: all === undefined ? UNTOUCHED : touchedOf(all),
    lanesReplaced: within.filter(({ type }) => type === 'lane').length,
    pressureMax: Math.max(0, ...levels),
  }
}

const UNTOUCHED: Touched = { requests: 0, callers: 0, keys: 0 }

function touchedOf({ requests, callers, keys }: Touched): Touched {
  return { requests, callers, keys }
}

/** A spell while it is under way. Times are Unix ms. */
interface Open {
  readonly from: number | null
  readonly cause: string
  readonly sequence: number | null
  reopened: number
}

/** Spells of one breaker or one endpoint, read in order. */
class Course {
  readonly spells: (Spell & { readonly lastedMs: number })[] = []
  /** Of a breaker: it refuses, and does not only say that it would. */
  isEnforced = true
  #open: Open | null = null
  readonly #range: Range

  constructor(range: Range) {
    this.#range = range
  }

  get isOpen(): boolean {
    return this.#open !== null
  }

  begin({ at, sequence, details }: EventFact): void {
    if (this.#open !== null) {
      this.#open.reopened += 1
      return
    }
    const isWithin = at >= this.#range.from
    this.#open = { from: isWithin ? at : null, cause: textOf(details, 'cause'), sequence, reopened: 0 }
  }

  end(at: number | null, ended: string): void {
    const open = this.#open
    this.#open = null
    if (open === null || (at !== null && at < this.#range.from)) return
    const { from, cause, sequence, reopened } = open
    const lastedMs = (at ?? this.#range.to) - (from ?? this.#range.from)
    const span = { from: from === null ? null : isoOf(from), to: at === null ? null : isoOf(at) }
    this.spells.push({ ...span, cause, ended, sequence, reopened, lastedMs })
  }

  get lastedMs(): number {
    return this.spells.reduce((sum, { lastedMs }) => sum + lastedMs, 0)
  }

  told(): Spell[] {
    return this.spells.map(({ lastedMs: _, ...spell }) => spell)
  }
}

const NOT_OVER = 'not over at the end of the range'
const ENDS_ALL = new Map([
  ['start', 'the gateway began anew'],
  ['stop', 'the gateway stopped'],
])

function breakersOf(events: readonly EventFact[], range: Range): BreakerSummary[] {
  const courses = coursesOf(events, range, (event) => {
    if (event.type !== 'breaker') return null
    const to = textOf(event.details, 'to')
    return { key: event.version, turn: to === 'closed' ? 'end' : to === 'open' ? 'begin' : 'go-on' }
  })
  return told(courses, (version, course) => ({
    version,
    isEnforced: course.isEnforced,
    openings: openingsOf(course.spells),
    notClosedMs: course.lastedMs,
    spells: course.told(),
  }))
}

function openingsOf(spells: readonly Spell[]): number {
  return spells.reduce((sum, { from, reopened }) => sum + (from === null ? 0 : 1) + reopened, 0)
}

function endpointsOf(events: readonly EventFact[], range: Range): EndpointSummary[] {
  const courses = coursesOf(events, range, ({ type, version, details }) => {
    if (type !== 'endpoint') return null
    const key = `${version}\u0000${textOf(details, 'endpoint')}`
    return { key, turn: details.out === true ? 'begin' : 'end' }
  })
  return told(courses, (key, course) => {
    const [version = '', endpoint = ''] = key.split('\u0000')
    const spells = course.told()
    return { version, endpoint, outs: spells.length, outMs: course.lastedMs, spells }
  })
}

/** `go-on`: a probe is let through, which is no end and, after an opening, no beginning. */
interface Turn {
  readonly key: string
  readonly turn: 'begin' | 'go-on' | 'end'
}

/** Both live in memory: whatever ends the process ends all of them. */
function coursesOf(
  events: readonly EventFact[],
  range: Range,
  turnOf: (event: EventFact) => Turn | null,
): Map<string, Course> {
  const courses = new Map<string, Course>()
  for (const event of events) {
    if (event.at >= range.to) break
    const why = ENDS_ALL.get(event.type)
    if (why !== undefined) for (const course of courses.values()) course.end(event.at, why)
    const found = turnOf(event)
    if (found === null) continue
    const course = taken(courses, found.key, () => new Course(range))
    course.isEnforced = event.details.enforced !== false
    if (found.turn === 'end') course.end(event.at, textOf(event.details, 'cause'))
    else if (found.turn === 'begin' || !course.isOpen) course.begin(event)
  }
  return courses
}

/** Of those that had any spell in the range; what is still under way ends with it. */
function told<Summary>(
  courses: ReadonlyMap<string, Course>,
  summary: (key: string, course: Course) => Summary,
): Summary[] {
  return [...courses]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([key, course]) => {
      course.end(null, NOT_OVER)
      return course.spells.length === 0 ? [] : [summary(key, course)]
    })
}
