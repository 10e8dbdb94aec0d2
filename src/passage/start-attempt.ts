/**
 * Starts one try at one version, wherever it runs: the scoring pool for a local one, an endpoint for a
 * remote one. The request's bytes are shared by every try and every shadow, never copied or changed.
 */
import type { Head } from '../domain/head.ts'
import type { Intent } from '../domain/intent.ts'
import type { AttemptResult } from '../domain/outcome.ts'
import type { Plan } from '../domain/plan.ts'
import type { LocalVersion, RemoteVersion, Version } from '../domain/routes.ts'
import type { AttemptLimits, Cancel, InProgress, Receiver } from '../domain/wire.ts'
import { outboundHeaders } from '../forward/outbound-headers.ts'
import { assert } from '../kernel/assert.ts'
import type { MemoryClaim } from '../kernel/memory-budget.ts'
import type { Hedging } from '../observe/hedging.ts'
import type { Protocol } from '../protocols/protocol.ts'
import type { Lane } from './lane-parts.ts'
import { isRenamed } from './our-names.ts'

export interface Errand {
  readonly id: string
  readonly head: Head
  readonly body: Uint8Array
  readonly intent: Intent
  readonly protocol: Protocol
  readonly plan: Plan
  /** The memory it takes. */
  readonly claim: MemoryClaim
  /** Of an answer that is passed on a copy is made, too, as far as it is small enough. */
  readonly keepsCopy: boolean
}

export interface Conduct {
  readonly lane: Lane
  readonly limits: AttemptLimits
  readonly isShadow: boolean
}

/** Starts one try at one version, wherever it runs. Shadows use it too, with limits of their own. */
export function startAttempt(version: Version, errand: Errand, how: Conduct, receiver: Receiver): InProgress {
  if (version.kind === 'remote') return startRemote(version, errand, how, receiver)
  const startedAt = how.lane.clock.now()
  return {
    cancel: startLocal(version, errand, how, receiver),
    soFar: () => localSoFar(how.lane.clock.now() - startedAt),
    resume: NOTHING_WAITS,
  }
}

function localSoFar(totalMs: number): AttemptResult {
  const phases = { queueMs: -1, connectMs: -1, firstByteMs: -1, totalMs }
  return { endpoint: LOCAL_ENDPOINT, phases, reused: false, answer: null, fault: null }
}

/** What records call the scoring pool. */
const LOCAL_ENDPOINT = 'pool'

/** A local answer comes whole, with its end. */
const NOTHING_WAITS = (): void => {}

function startLocal(
  version: LocalVersion,
  errand: Errand,
  { lane, limits, isShadow }: Conduct,
  receiver: Receiver,
): Cancel {
  const { operation, jsonLength } = errand.intent
  assert(operation !== 'call', 'a raw model has no local versions')
  if (operation === 'ready') return answerReadiness(version, lane, receiver)
  const job = { version, operation, body: errand.body, jsonLength, limits, isShadow }
  return lane.scorer.submit(job, (result) => receiver.done(result))
}

/** Whether the version can score is known here; it is told in the next turn, as every answer is. */
function answerReadiness(version: LocalVersion, lane: Lane, receiver: Receiver): Cancel {
  const state = lane.scorer.state(version)
  const body = Buffer.from(JSON.stringify({ name: version.model, ready: true }))
  const answer = { status: 200, headers: ['content-type', 'application/json'], body }
  const result: AttemptResult = {
    endpoint: LOCAL_ENDPOINT,
    phases: { queueMs: -1, connectMs: -1, firstByteMs: 0, totalMs: 0 },
    reused: false,
    answer: state.ready ? answer : null,
    fault: state.ready ? null : state.fault,
  }
  const turn = setImmediate(() => receiver.done(result))
  return () => clearImmediate(turn)
}

function startRemote(version: RemoteVersion, errand: Errand, how: Conduct, receiver: Receiver): InProgress {
  const { lane, limits, isShadow } = how
  const { head, body, intent, protocol, id } = errand
  const { operation, rest, model } = intent
  const deadlineLeftMs = Number.isFinite(limits.deadlineAt) ? limits.deadlineAt - lane.clock.now() : null
  const headers = outboundHeaders(head, {
    requestId: id,
    deadlineLeftMs,
    isShadow: isShadow || intent.isShadow,
    isRead: isRead(version, errand),
  })
  const request = protocol.prepare(
    { method: head.method, model: model.name, operation, rest, headers, body },
    version,
  )
  if (isShadow) return lane.shadowForwarder.send(version, request, limits, receiver)
  const hedge = lane.hedging[version.index]!
  const mayHedge = hedge !== null && request.repeatable && (operation === 'infer' || operation === 'call')
  return lane.forwarder.send(version, request, mayHedge ? hedged(limits, hedge) : limits, receiver)
}

/** Metadata and readiness take other times than answers of the model, and are not what anybody waits for. */
function hedged(
  { timeouts, deadlineAt, key = '', avoid = NONE }: AttemptLimits,
  hedge: Hedging,
): AttemptLimits {
  if (avoid.length === 0) hedge.came()
  return { timeouts, deadlineAt, key, avoid, hedge }
}

const NONE: readonly string[] = []

/** Checks, comparisons, our names and what the dialect tells of an answer all need it as it is written. */
function isRead(version: RemoteVersion, { intent: { model }, protocol }: Errand): boolean {
  const isCompared = model.output.length > 0 || model.compare.length > 0
  return isCompared || protocol.readsAnswers || isRenamed(version, protocol)
}
