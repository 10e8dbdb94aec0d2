/**
 * Asks the log everything a report needs. The events come first: where something changed, the range is cut, and one
 * pass over the decisions counts each period by itself.
 */
import { changesOf, cutsOf } from './changes.ts'
import type { EventFact, Facts, OutcomeFact, Range, ShadowFact, TrafficFact } from './facts.ts'
import {
  consequencesQuestion,
  EVENTS_MAX,
  eventsQuestion,
  type Frame,
  HAS_OUTCOMES,
  isConsequence,
  LIFETIME,
  MODELS,
  OLDEST,
  outcomesQuestion,
  shadowsQuestion,
  streamsQuestion,
  trafficQuestion,
} from './questions.ts'
import { slotsOf } from './slots.ts'

export type Row = Readonly<Record<string, unknown>>

/** Read-only SQL over the log's tables. */
export interface Answers {
  rows(sql: string, params?: readonly string[]): Promise<readonly Row[]>
}

export interface Asked {
  readonly model: string
  readonly range: Range
  /** Unix ms. */
  readonly askedAt: number
}

export async function factsOf(log: Answers, { model, range, askedAt }: Asked): Promise<Facts> {
  const events = (await log.rows(eventsQuestion(range), [model])).map(eventOf)
  const isCutShort = events.length > EVENTS_MAX
  const oldestAt = numberOrNull((await log.rows(OLDEST))[0]?.oldest)
  const shown = shownOf(range, oldestAt ?? range.from, askedAt)
  const frame: Frame = { range, slots: slotsOf(shown.from, shown.to), cuts: cutsOf(changesOf(events, range)) }
  const decisions = await log.rows(trafficQuestion(frame), [model])
  const traffic = decisions.filter((row) => row.is_question !== true).map(trafficFact)
  const shadows = await log.rows(shadowsQuestion(frame), [model])
  const places = [...decisions.map(placesOf), ...shadows.map(placesOf), placesOfEvents(events, range)]
  const records = sum(places, ({ records }) => records)
  return {
    model,
    range,
    askedAt,
    slots: frame.slots,
    cuts: frame.cuts,
    events,
    isCutShort,
    traffic,
    questions: sum(decisions, (row) => (row.is_question === true ? number(row.records) : 0)),
    consequences: await consequencesOf(log, frame, { model, traffic }),
    shadows: shadows.map(shadowFact),
    streams: (await log.rows(streamsQuestion(frame), [model])).map((row) => ({
      ...{ fate: text(row.fate), answers: number(row.answers) },
    })),
    outcomes: await outcomesOf(log, frame, model),
    sequences: spanOf(places),
    records,
    unsequenced: records - sum(places, ({ sequenced }) => sequenced),
    oldestAt,
  }
}

/** What time lines show of a range: nothing before the log begins, and nothing that has not been. */
function shownOf(range: Range, oldestAt: number, askedAt: number): Range {
  const from = Math.max(range.from, oldestAt)
  const to = Math.min(range.to, askedAt)
  return from < to ? { from, to } : range
}

export interface Lifetime {
  readonly requests: number
  /** Unix ms; null when there are none. */
  readonly first: number | null
  readonly last: number | null
}

/** What the whole log has of a model. */
export async function lifetimeOf(log: Answers, model: string): Promise<Lifetime> {
  const [row = {}] = await log.rows(LIFETIME, [model])
  return { requests: number(row.requests), first: numberOrNull(row.first), last: numberOrNull(row.last) }
}

export async function modelsOf(log: Answers): Promise<string[]> {
  return (await log.rows(MODELS)).map(({ model }) => text(model))
}

/** Asked only of the time in which there were any: few hours of a week, or none. */
async function consequencesOf(
  log: Answers,
  { range, slots }: Frame,
  { model, traffic }: Pick<Facts, 'model' | 'traffic'>,
): Promise<Facts['consequences']> {
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const { slot } of traffic.filter(isConsequence)) {
    first = Math.min(first, slot)
    last = Math.max(last, slot)
  }
  if (last < first) return []
  const startOf = (slot: number) => (slots.base + slot) * slots.widthMs
  // The outermost slots have what lies beyond them, too.
  const from = first === 0 ? range.from : Math.max(range.from, startOf(first))
  const to = last === slots.starts.length - 1 ? range.to : Math.min(range.to, startOf(last + 1))
  return (await log.rows(consequencesQuestion({ from, to }), [model])).flatMap(consequenceFacts)
}

async function outcomesOf(log: Answers, frame: Frame, model: string): Promise<OutcomeFact[]> {
  const [any] = await log.rows(HAS_OUTCOMES, [model])
  return any === undefined ? [] : (await log.rows(outcomesQuestion(frame), [model])).map(outcomeFact)
}

function eventOf(row: Row): EventFact {
  return {
    sequence: numberOrNull(row.sequence),
    at: number(row.at_ms),
    type: text(row.type),
    model: text(row.model),
    version: text(row.version),
    details: detailsOf(row.details),
  }
}

function detailsOf(value: unknown): EventFact['details'] {
  try {
    const details: unknown = JSON.parse(text(value))
    return typeof details === 'object' && details !== null ? (details as EventFact['details']) : {}
  } catch {
    return {}
  }
}

function trafficFact(row: Row): TrafficFact {
  return {
    slot: number(row.slot),
    period: number(row.period),
    version: text(row.version),
    meant: text(row.meant),
    outcome: text(row.outcome),
    degraded: text(row.degraded),
    isKept: row.is_kept === true,
    bin: number(row.bin),
    requests: number(row.records),
  }
}

function consequenceFacts(row: Row): Facts['consequences'] {
  const requests = number(row.requests)
  if (requests === 0) return []
  const counts = { requests, callers: number(row.callers), keys: number(row.keys) }
  return [{ because: text(row.because), consequence: text(row.consequence), ...counts }]
}

function shadowFact(row: Row): ShadowFact {
  return {
    slot: number(row.slot),
    version: text(row.version),
    fate: text(row.fate),
    agreement: text(row.agreement),
    bin: number(row.bin),
    copies: number(row.records),
  }
}

function outcomeFact(row: Row): OutcomeFact {
  return {
    slot: number(row.slot),
    period: number(row.period),
    version: text(row.version),
    name: text(row.name),
    unit: text(row.unit),
    n: number(row.n),
    sum: number(row.sum),
    sumOfSquares: number(row.sum_of_squares),
  }
}

/** Which places in the log some records have. */
interface Places {
  readonly records: number
  readonly sequenced: number
  readonly first: number | null
  readonly last: number | null
}

function placesOf(row: Row): Places {
  return {
    records: number(row.records),
    sequenced: number(row.sequenced),
    first: numberOrNull(row.first_sequence),
    last: numberOrNull(row.last_sequence),
  }
}

function placesOfEvents(events: readonly EventFact[], { from, to }: Range): Places {
  const within = events.filter(({ at }) => at >= from && at < to)
  const sequences = within.flatMap(({ sequence }) => (sequence === null ? [] : [sequence]))
  return {
    records: within.length,
    sequenced: sequences.length,
    first: sequences.length === 0 ? null : Math.min(...sequences),
    last: sequences.length === 0 ? null : Math.max(...sequences),
  }
}

function spanOf(places: readonly Places[]): Facts['sequences'] {
  const span = { first: Number.POSITIVE_INFINITY, last: Number.NEGATIVE_INFINITY }
  for (const { first, last } of places) {
    span.first = Math.min(span.first, first ?? span.first)
    span.last = Math.max(span.last, last ?? span.last)
  }
  return span.first <= span.last ? span : null
}

function sum<Of>(list: readonly Of[], value: (one: Of) => number): number {
  return list.reduce((total, one) => total + value(one), 0)
}

function number(value: unknown): number {
  return Number(value ?? 0)
}

function numberOrNull(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value)
}

function text(value: unknown): string {
  return value === null || value === undefined ? '' : String(value)
}
