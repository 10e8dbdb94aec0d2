/**
 * How a request's story ends, whichever way it went: the exchange is formed once, counted, recorded,
 * and only when its record is on its way out of the process does the answer leave.
 *
 * If the record cannot be made as sure as the model's audit mode asks, the caller is told `audit-unavailable` instead of
 * the answer: an answer that is in no record must not reach anybody.
 */
import type { ClientResponse } from '../accept/client-response.ts'
import type { Incoming } from '../accept/listener.ts'
import type { Exchange } from '../domain/exchange.ts'
import { type Fault, traitsOf } from '../domain/fault.ts'
import { type Head, OWN_PREFIX } from '../domain/head.ts'
import type { Intent } from '../domain/intent.ts'
import type { Answer, AnswerSummary, Attempt, Role } from '../domain/outcome.ts'
import type { Plan } from '../domain/plan.ts'
import type { Model, Snapshot, Version } from '../domain/routes.ts'
import type { MemoryClaim } from '../kernel/memory-budget.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { raw } from '../protocols/raw/index.ts'
import { NOT_NOTED } from '../record/recorder.ts'
import { type Course, NO_COURSE } from './course.ts'
import type { Lane } from './lane-parts.ts'
import { AUDIT_UNAVAILABLE, CLIENT_GONE, INTERNAL } from './refusals.ts'
import { giveBodyBack } from './spent-body.ts'

/** What is known of a request from its first byte on. */
export interface Opening {
  readonly id: string
  readonly lane: Lane
  readonly routes: Snapshot
  readonly head: Head
  readonly client: ClientResponse
  /** The memory it takes, given back at its end. */
  readonly claim: MemoryClaim
  /** Unix ms, and monotonic ms. */
  readonly receivedAt: number
  readonly startedAt: number
  /** Where it is noted as being under way, once a version is asked. */
  note: number
  /** Set when the story's end is told; it is told once. */
  settled: boolean
}

/** What became known on the way; what a refusal came too early for is null. */
export interface Known {
  readonly protocol: Protocol | null
  readonly body: Uint8Array
  readonly model: Model | null
  readonly intent: Intent | null
  readonly plan: Plan | null
  /** What the caller is told besides the answer: how its rate limits stand, where a kept answer came from. Name, value, … */
  readonly asides: readonly string[]
}

export const NOTHING_KNOWN: Known = {
  protocol: null,
  body: new Uint8Array(0),
  model: null,
  intent: null,
  plan: null,
  asides: [],
}

export function knownOf(protocol: Protocol | null, body: Uint8Array): Known {
  return { ...NOTHING_KNOWN, protocol, body }
}

export function openStory({ head, body, client }: Incoming, lane: Lane): Opening {
  const receivedAt = lane.clock.wall()
  lane.work.count += 1
  return {
    id: lane.ids.next(receivedAt),
    lane,
    routes: lane.snapshot.current,
    head,
    client,
    claim: body.claim,
    receivedAt,
    startedAt: lane.clock.now(),
    note: NOT_NOTED,
    settled: false,
  }
}

/** When the version is asked, at the end of this turn, a crash leaves a trace of it. `at`: monotonic ms. */
export function noteAsking(opening: Opening, version: Version, role: Role, at: number): void {
  const { id, lane, routes, receivedAt, startedAt } = opening
  opening.note = lane.recorder.note({
    id,
    receivedAt,
    afterMs: at - startedAt,
    generation: routes.generation,
    configHash: routes.hash,
    model: version.model,
    version: version.name,
    role,
  })
}

/** Nothing of it is held or waited for any more. */
export function endStory({ lane, claim }: Opening): void {
  lane.work.count -= 1
  claim.release()
}

/** A plan was carried out: an answer, a degraded answer, or the fault nothing could mend. */
export function conclude(opening: Opening, known: Known, course: Course): void {
  const exchange = exchangeOf(opening, known, course)
  finish(opening, exchange, known.protocol)
}

export interface Closing {
  /** End the connection: the bytes that follow cannot be trusted. */
  readonly close: boolean
}

/** The gateway itself says no. */
export function refuse(opening: Opening, known: Known, reason: Fault, closing?: Closing): void {
  finish(opening, exchangeOf(opening, known, { ...NO_COURSE, fault: reason }), known.protocol, closing)
}

/** The caller left before its answer; what was tried is recorded all the same. */
export function forgo(opening: Opening, known: Known, attempts: readonly Attempt[]): void {
  const course = { ...NO_COURSE, attempts, fault: CLIENT_GONE }
  finish(opening, exchangeOf(opening, known, course), known.protocol)
}

export function exchangeOf(opening: Opening, known: Known, course: Course): Exchange {
  const { lane, routes } = opening
  return {
    id: opening.id,
    generation: routes.generation,
    configHash: routes.hash,
    auditMode: known.model?.auditMode ?? routes.audit.mode,
    receivedAt: opening.receivedAt,
    startedAt: opening.startedAt,
    endedAt: lane.clock.now(),
    head: opening.head,
    model: known.model,
    intent: known.intent,
    plan: known.plan,
    attempts: course.attempts,
    served: course.served,
    reason: course.reason,
    degraded: course.degraded,
    status: (course.answer ?? course.passed)?.status ?? traitsOf(course.fault!.code).status,
    fault: course.fault,
    requestBody: known.body,
    answer: course.answer,
    passed: course.passed,
    asides: known.asides,
    kept: course.kept,
    // What a kept answer cost was counted when it was made.
    summary:
      course.kept === null
        ? (course.summary ?? summaryOf(course.answer, known.protocol, course.served))
        : null,
  }
}

function finish(opening: Opening, exchange: Exchange, protocol: Protocol | null, closing?: Closing): void {
  if (opening.settled) return
  opening.settled = true
  const { lane, client } = opening
  // Between here and the reply the caller may leave; the story is told already.
  client.onGone(NOTHING_LEFT_TO_DO)
  const answer = client.gone ? null : (exchange.answer ?? explained(exchange.fault!, protocol))
  const finished = () => {
    endStory(opening)
    giveBodyBack(exchange)
  }
  const close = () => (closing?.close ?? false) || lane.work.draining
  try {
    const told = answer === exchange.answer ? exchange : { ...exchange, answer }
    const release = (written: boolean, receipt: string, isWithheld: boolean) => {
      lane.observer.exchange(written ? exchange : unrecorded(exchange))
      if (answer === null) return finished()
      if (isWithheld) tellWithheld(opening, exchange)
      const reply = written ? answer : explained(AUDIT_UNAVAILABLE, protocol)
      const headers = written
        ? ownHeaders(exchange, reply, receipt)
        : withMarks(exchange, reply, AUDIT_UNAVAILABLE)
      const { status, body } = reply
      if (!client.reply({ status, headers, body, close: close() }, finished)) finished()
    }
    lane.recorder.decision(told, release, opening.note)
  } catch (bug) {
    // Without a record there may be no answer; without a reply the caller would wait for ever.
    lane.onBug(bug)
    const reply = explained(INTERNAL, protocol)
    if (!client.reply({ ...reply, headers: withMarks(exchange, reply, INTERNAL), close: true }, finished))
      finished()
  }
}

/** Its decision may be in the log as if the caller had got the answer: what became of it is a record of its own. */
export function tellWithheld({ lane, startedAt }: Opening, exchange: Exchange): void {
  const attempt = exchange.attempts.at(-1)
  if (attempt === undefined || exchange.model === null) return
  lane.recorder.stream({
    id: exchange.id,
    receivedAt: exchange.receivedAt,
    model: exchange.model.name,
    fate: 'withheld',
    durationMs: lane.clock.now() - startedAt,
    attempt,
    status: traitsOf(AUDIT_UNAVAILABLE.code).status,
    fault: AUDIT_UNAVAILABLE,
    summary: null,
  })
}

/** What the dialect reads of a version's answer; an answer of ours has nothing to tell. */
function summaryOf(answer: Answer | null, protocol: Protocol | null, served: string): AnswerSummary | null {
  return answer === null || protocol === null || served === '' ? null : protocol.summarize(answer)
}

/** What is counted when the record could not be written, and the caller was told so instead of its answer. */
export function unrecorded(exchange: Exchange): Exchange {
  const { status } = traitsOf(AUDIT_UNAVAILABLE.code)
  return {
    ...exchange,
    status,
    fault: AUDIT_UNAVAILABLE,
    served: '',
    reason: '',
    degraded: '',
    answer: null,
    passed: null,
  }
}

const NOTHING_LEFT_TO_DO = (): void => {}

/** Where no dialect is known, problem details are what an HTTP client expects. */
export function explained(reason: Fault, protocol: Protocol | null): Answer {
  const rendered = (protocol ?? raw).explain(reason)
  return {
    status: traitsOf(reason.code).status,
    headers: ['content-type', rendered.contentType, ...reason.headers],
    body: rendered.body,
  }
}

/** `receipt`: where in the log its record is; empty when it is not known to be on the disk. */
export function ownHeaders(
  exchange: Exchange,
  reply: Pick<Answer, 'headers'>,
  receipt: string,
): readonly string[] {
  const headers = withMarks(exchange, reply, exchange.fault)
  if (exchange.served !== '') headers.push('modelgate-version', exchange.served)
  if (exchange.reason !== '') headers.push('modelgate-reason', exchange.reason)
  if (exchange.degraded !== '') headers.push('modelgate-degraded', exchange.degraded)
  if (receipt !== '') headers.push('modelgate-receipt', receipt)
  return headers
}

export function withMarks(
  exchange: Exchange,
  reply: Pick<Answer, 'headers'>,
  reason: Fault | null,
): string[] {
  const { asides, model } = exchange
  const headers = withoutMarks(reply.headers, model !== null && model.rates.length > 0)
  headers.push('modelgate-request-id', exchange.id, 'modelgate-config', String(exchange.generation))
  if (reason !== null) headers.push('modelgate-error', reason.code)
  for (const text of asides) headers.push(text)
  return headers
}

/** Written by the HTTP server in front itself, on every answer. */
const SERVER_MARK = 'uwebsockets'

const RATE_HEADERS: ReadonlySet<string> = new Set(['ratelimit', 'ratelimit-policy'])

/**
 * An endpoint may be a gateway like this one; its marks are about its own part and would contradict ours, and so
 * would its rate limits, where there are some of ours.
 */
function withoutMarks(headers: readonly string[], hasRates: boolean): string[] {
  const kept: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    if (name === SERVER_MARK || name.startsWith(OWN_PREFIX)) continue
    if (!hasRates || !RATE_HEADERS.has(name)) kept.push(name, headers[index + 1]!)
  }
  return kept
}
