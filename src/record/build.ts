/**
 * Forms the decision record from the story of a request. This is where what may be kept is chosen: of the
 * headers only content type and user agent, of the target only the path (a query may hold anything), of the
 * sticky key only its source, of bodies only their size. Values go nowhere but to the digests.
 */
import type { AttemptRecord } from '../audit/records/attempt-row.ts'
import type { DecisionRecord, PlanRecord } from '../audit/records/decision-record.ts'
import type { ShadowRecord } from '../audit/records/shadow-record.ts'
import type { Exchange, ShadowOutcome } from '../domain/exchange.ts'
import { headerOf } from '../domain/head.ts'
import type { Attempt } from '../domain/outcome.ts'
import type { Plan } from '../domain/plan.ts'

export function decisionOf(exchange: Exchange): DecisionRecord {
  const { head, model, intent, plan, fault, answer } = exchange
  return {
    id: exchange.id,
    receivedAt: exchange.receivedAt,
    durationMs: exchange.endedAt - exchange.startedAt,
    generation: exchange.generation,
    configHash: exchange.configHash,
    traceId: intent?.traceId ?? '',
    client: { address: head.clientAddress, userAgent: headerOf(head.headers, 'user-agent') ?? '' },
    request: {
      method: head.method,
      path: head.path,
      contentType: headerOf(head.headers, 'content-type') ?? '',
      bodyBytes: exchange.requestBody.length,
    },
    model: model?.name ?? '',
    protocol: model?.protocol ?? '',
    operation: intent?.operation ?? '',
    pin: intent?.pin ?? '',
    isShadow: intent?.isShadow ?? false,
    keySource: intent?.key.source ?? '',
    plan: plan === null ? null : planOf(plan),
    attempts: exchange.attempts.map((attempt) => attemptOf(attempt, attempt.startedAt - exchange.startedAt)),
    served: exchange.served,
    reason: exchange.reason,
    degraded: exchange.degraded,
    status: exchange.status,
    fault: fault === null ? null : { code: fault.code, message: fault.message, detail: fault.detail },
    answer:
      answer === null
        ? null
        : { bodyBytes: answer.body.length, contentType: headerOf(answer.headers, 'content-type') ?? '' },
  }
}

function planOf(plan: Plan): PlanRecord {
  return {
    version: plan.version.name,
    reason: plan.reason,
    role: plan.role,
    experiment: plan.experiment,
    assigned: plan.assigned,
    point: plan.point,
    candidates: plan.candidates,
    shadows: plan.shadows.map(({ version, fate }) => ({ version: version.name, fate })),
  }
}

function attemptOf(attempt: Attempt, afterMs: number): AttemptRecord {
  const { phases, answer, fault, endpoint, reused } = attempt.result
  return {
    version: attempt.version,
    role: attempt.role,
    afterMs,
    endpoint,
    reused,
    queueMs: phases.queueMs,
    connectMs: phases.connectMs,
    firstByteMs: phases.firstByteMs,
    totalMs: phases.totalMs,
    status: answer?.status ?? 0,
    answerBytes: answer?.body.length ?? 0,
    faultCode: fault?.code ?? '',
    faultDetail: fault?.detail ?? '',
    verdict: attempt.verdict,
  }
}

export function shadowOf(outcome: ShadowOutcome): ShadowRecord {
  return {
    id: outcome.id,
    receivedAt: outcome.receivedAt,
    model: outcome.model,
    version: outcome.version,
    fate: outcome.fate,
    agreement: outcome.agreement,
    differences: outcome.differences,
    attempt: outcome.attempt === null ? null : attemptOf(outcome.attempt, -1),
  }
}
