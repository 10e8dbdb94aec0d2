/**
 * What a request means: which model and version, by which key it sticks, by when it must be answered.
 * Deterministic: the same head, body and configuration give the same intent. Nothing is decided here.
 */
import { type Fault, fault, isFault } from '../domain/fault.ts'
import { type Head, headerOf } from '../domain/head.ts'
import type { Intent } from '../domain/intent.ts'
import type { Model, Snapshot } from '../domain/routes.ts'
import { nearestName } from '../kernel/nearest-name.ts'
import type { Match, Protocol } from '../protocols/protocol.ts'
import { callersOf, subjectOf } from './caller.ts'
import { readDeadline } from './deadline.ts'
import { readIdempotencyKey } from './idempotency-key.ts'
import { bodyPlacesOf } from './key-source.ts'
import { stickyKey } from './sticky-key.ts'

export const PIN_HEADER = 'modelgate-pin'
/**
 * Marks a shadow copy on its way to an endpoint; a gateway that gets one from a peer it trusts (server.trust)
 * serves it and copies it no further. From anybody else it says nothing: a caller must not choose to be unseen.
 */
export const SHADOW_HEADER = 'modelgate-shadow'

export interface Question {
  readonly head: Head
  readonly body: Uint8Array
  readonly protocol: Protocol
  readonly match: Extract<Match, { scope: 'model' }>
  readonly routes: Snapshot
  /** Monotonic ms at which the request was received: deadlines count from here. */
  readonly arrivedAt: number
  /** The sticky key of last resort: unique to this request. */
  readonly requestId: string
}

/** The model that the path or the body names, if this dialect may speak to it. */
export function findModel(question: Omit<Question, 'arrivedAt' | 'requestId'>): Model | Fault {
  const { match, protocol, routes, head, body } = question
  const name = match.model ?? protocol.modelIn!(head, body)
  return isFault(name) ? name : modelNamed(name, protocol, routes)
}

export function modelNamed(name: string, protocol: Protocol, routes: Snapshot): Model | Fault {
  const model = routes.models.get(name)
  if (model === undefined) {
    const near = nearestName(name, routes.models.keys())
    const hint = near === null ? '' : `; did you mean '${near}'?`
    return fault('unknown-model', `no model '${clip(name)}' is configured here${hint}`)
  }
  if (model.protocol !== protocol.name) {
    return fault('unknown-model', `model '${model.name}' speaks ${model.protocol}, not ${protocol.name}`)
  }
  return model
}

export function identify(question: Question, model: Model): Intent | Fault {
  const { head, match, protocol } = question
  const pin = match.version ?? headerOf(head.headers, PIN_HEADER) ?? null
  const refusal = pin === null ? null : checkPin(pin, model)
  if (refusal !== null) return refusal
  const deadlineAt = readDeadline(head.headers, question.arrivedAt)
  if (isFault(deadlineAt)) return deadlineAt
  const idempotencyKey = model.idempotency === null ? null : readIdempotencyKey(head, match.operation)
  if (isFault(idempotencyKey)) return idempotencyKey
  const places = bodyPlacesOf(model)
  const reading = protocol.identify(match.operation, head, question.body, places.paths)
  if (isFault(reading)) return reading
  const values = { places, found: reading.values }
  return {
    model,
    protocol: protocol.name,
    operation: match.operation,
    pin,
    key: stickyKey(model, head, values, question.requestId),
    callers: callersOf(model, head, values),
    subject: subjectOf(model, head, values),
    idempotencyKey,
    deadlineAt,
    traceId: traceIdOf(headerOf(head.headers, 'traceparent')),
    isShadow: head.forwarded.isTrusted && headerOf(head.headers, SHADOW_HEADER) !== undefined,
    rest: match.rest,
    jsonLength: reading.jsonLength,
    selectsOutputs: reading.selectsOutputs,
  }
}

function checkPin(pin: string, model: Model): Fault | null {
  if (!model.versions.has(pin)) {
    const near = nearestName(pin, model.versions.keys())
    const hint = near === null ? '' : `; did you mean '${near}'?`
    return fault('unknown-version', `model '${model.name}' has no version '${clip(pin)}'${hint}`)
  }
  if (model.route.pinAllowed) return null
  return fault(
    'pin-not-allowed',
    `callers may not choose a version of model '${model.name}' (route.pin is false); ask for the model alone`,
  )
}

/** W3C Trace Context §3.2: version-traceid-parentid-flags; all-zero ids are invalid. */
function traceIdOf(traceparent: string | undefined): string {
  if (traceparent === undefined) return ''
  const parts = /^[0-9a-f]{2}-([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}/.exec(traceparent)
  const id = parts?.[1] ?? ''
  return /^0*$/.test(id) ? '' : id
}

/** Names from callers go into messages, never whole. */
function clip(name: string): string {
  return name.length <= 64 ? name : `${name.slice(0, 64)}…`
}
