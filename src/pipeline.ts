/**
 * The path of one request, top to bottom:
 *
 *     accept → identify → decide → forward | score → observe → record → (shadow) compare
 *
 * A request holds one Snapshot from its first byte to its record. Refusals and callers that leave take
 * the same way out as answers: observed, recorded, and only then replied to. How a plan is carried out
 * is told in passage/attempts.ts, how a story ends in passage/settle.ts.
 */
import type { Incoming } from './accept/listener.ts'
import type { Pledge } from './callers/repeats.ts'
import { decide } from './decide/decide.ts'
import { isFault } from './domain/fault.ts'
import type { Intent } from './domain/intent.ts'
import { findModel, identify } from './identify/identify.ts'
import { recognize } from './identify/recognize.ts'
import { askOnce } from './passage/ask-once.ts'
import { carryOut } from './passage/attempts.ts'
import { chargeCaller } from './passage/caller-quota.ts'
import type { Course } from './passage/course.ts'
import { keepingOf, UNHEARD } from './passage/keeping.ts'
import type { Lane } from './passage/lane-parts.ts'
import { AUDIT_UNAVAILABLE, DRAINING, INTERNAL } from './passage/refusals.ts'
import { answerServer } from './passage/server-answers.ts'
import {
  conclude,
  forgo,
  type Known,
  knownOf,
  NOTHING_KNOWN,
  noteAsking,
  type Opening,
  openStory,
  refuse,
} from './passage/settle.ts'
import { ShadowCopies } from './passage/shadows.ts'
import { StreamedReply } from './passage/streamed-reply.ts'
import type { Match, Protocol } from './protocols/protocol.ts'

const NO_BODY = new Uint8Array(0)

export function handle(incoming: Incoming, lane: Lane): void {
  const { head, body, client, refusal } = incoming
  const opening = openStory(incoming, lane)
  client.onGone(() => forgo(opening, NOTHING_KNOWN, []))
  const recognized = recognize(head, lane.protocols, opening.routes)
  if (refusal !== null) {
    // Whatever is wrong with it, its sender reads errors of the dialect whose path it asked for.
    const known = knownOf(recognized.protocol, NO_BODY)
    // Also of a sender that does not stay for the answer, or sends what lets the server end the connection.
    client.onGone(() => refuse(opening, known, refusal))
    return body.outlast(refusal, () => refuse(opening, known, refusal, { close: true }))
  }
  body.read(opening.routes.server.bodyBytesMax, (bytes) => {
    const { protocol } = recognized
    if (isFault(bytes)) {
      return refuse(opening, knownOf(protocol, NO_BODY), bytes, { close: !body.isSwallowed })
    }
    if ('fault' in recognized) return refuse(opening, knownOf(protocol, bytes), recognized.fault)
    const { match } = recognized
    if (match.scope === 'server') return answerServer(match, opening)
    guarded(opening, () => answerModel(opening, match, recognized.protocol, bytes))
  })
}

type ModelMatch = Extract<Match, { scope: 'model' }>

function answerModel(opening: Opening, match: ModelMatch, protocol: Protocol, body: Uint8Array): void {
  const { id, lane, head, routes, startedAt } = opening
  const known = knownOf(protocol, body)
  const question = { head, body, protocol, match, routes, arrivedAt: startedAt, requestId: id }
  const model = findModel(question)
  if (isFault(model)) return refuse(opening, known, model)
  const intent = identify(question, model)
  if (isFault(intent)) return refuse(opening, { ...known, model }, intent)
  if (lane.work.refusing) return refuse(opening, { ...known, model, intent }, DRAINING, { close: true })
  if (!lane.recorder.available(model.auditMode))
    return refuse(opening, { ...known, model, intent }, AUDIT_UNAVAILABLE)
  const { refusal, headers: asides } = chargeCaller(intent, lane)
  const all = { protocol, body, model, intent, plan: null, asides }
  if (refusal !== null) return refuse(opening, all, refusal)
  askOnce(opening, all, (pledge) => guarded(opening, () => serve(opening, all, pledge), pledge))
}

type Asked = Known & { readonly protocol: Protocol; readonly intent: Intent }

/** `pledge`: to be kept or released when there is an answer, or none will come. */
function serve(opening: Opening, asked: Asked, pledge: Pledge | null): void {
  const { id, lane, head, client } = opening
  const { protocol, body, model, intent, asides } = asked
  const plan = decide(intent, head, {
    vitals: lane.vitals.view,
    now: lane.clock.now(),
    chance: lane.chance,
    repeatable: protocol.isRepeatable(head.method),
  })
  const errand = { id, head, body, intent, protocol, plan, claim: opening.claim, keepsCopy: pledge !== null }
  const keeping = keepingOf(opening, errand, { asides, pledge })
  const shadows = new ShadowCopies(errand, lane)
  const all = { protocol, body, model, intent, plan, asides: keeping.asides }
  let reply: StreamedReply | undefined
  const leave = () => {
    const course = abandon()
    if (reply === undefined) forgo(opening, all, course.attempts)
    else reply.left(course)
  }
  const done = (course: Course) => {
    if (keeping.outlastsCaller) lane.work.lingering.delete(leave)
    const ended = { protocol, body, model, intent, plan, asides: keeping.end(course) }
    if (reply !== undefined) reply.end(course)
    else if (client.gone) forgo(opening, ended, course.attempts)
    else conclude(opening, ended, course)
    shadows.settle(course.served === '' ? null : (course.answer ?? course.copy), course.fault)
  }
  if (keeping.hit !== null) return done(keeping.hit)
  const underway = carryOut(errand, lane, {
    asking: (version, role, at) => {
      // Its answer leaves whatever becomes of its record, so a write for it would promise more than the mode does.
      if (intent.model.auditMode !== 'best-effort') noteAsking(opening, version, role, at)
    },
    started: () => shadows.send(),
    opened: (course, resume) => {
      if (client.gone) return UNHEARD
      reply = new StreamedReply(opening, all, course, { resume, abandon })
      return reply
    },
    done,
  })
  const abandon = () => {
    keeping.abandon()
    shadows.settle(null, null)
    return underway.abandon()
  }
  client.onGone(() => {
    if (reply !== undefined || !keeping.outlastsCaller) leave()
    else lane.work.lingering.add(leave)
  })
}

/** A bug on the way to an answer is told to the operator, and the caller is not left waiting. */
function guarded(opening: Opening, work: () => void, pledge: Pledge | null = null): void {
  try {
    work()
  } catch (bug) {
    pledge?.release()
    opening.lane.onBug(bug)
    refuse(opening, NOTHING_KNOWN, INTERNAL, { close: true })
  }
}
