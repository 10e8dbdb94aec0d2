/**
 * Forms the decision record from the story of a request. This is where what may be kept is chosen: of the
 * headers only content type and user agent, of the target only the path (a query may hold anything), of the
 * sticky key only its source, of bodies only their size. Values go nowhere but to the digests.
 */
import type { AttemptRecord } from '../audit/records/attempt-row.ts'
import type { DecisionRecord, PlanRecord } from '../audit/records/decision-record.ts'
import type { FaultRecord } from '../audit/records/ending-row.ts'
import type { ShadowRecord } from '../audit/records/shadow-record.ts'
import type { StreamRecord } from '../audit/records/stream-record.ts'
import type { Exchange, ShadowOutcome, StreamOutcome } from '../domain/exchange.ts'
import type { Fault } from '../domain/fault.ts'
import { headerOf } from '../domain/head.ts'
import type { Attempt } from '../domain/outcome.ts'
import type { Plan } from '../domain/plan.ts'

export function decisionOf(exchange: Exchange): DecisionRecord {
  const { head, model, intent, plan, summary } = exchange
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
    fault: faultOf(exchange.fault),
    answer: answerOf(exchange),
    finishReason: summary?.finishReason ?? '',
    usage: summary?.usage ?? null,
    kept: exchange.kept,
  }
}

function answerOf({ answer, passed }: Exchange): DecisionRecord['answer'] {
  const sent = answer ?? passed
  if (sent === null) return null
  const bodyBytes = answer?.body.length ?? passed?.bodyBytes ?? 0
  return { bodyBytes, contentType: headerOf(sent.headers, 'content-type') ?? '' }
}

function faultOf(fault: Fault | null): FaultRecord | null {
  return fault === null ? null : { code: fault.code, message: fault.message, detail: fault.detail }
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
  const { phases, answer, passed, fault, endpoint, reused, hedge = null, sieve = null } = attempt.result
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
    status: answer?.status ?? passed?.status ?? 0,
    answerBytes: answer?.body.length ?? passed?.bodyBytes ?? 0,
    faultCode: fault?.code ?? '',
    faultDetail: fault?.detail ?? '',
    verdict: passed?.isOpen === true ? 'streaming' : attempt.verdict,
    hedge,
    sieve,
  }
}

export function streamOf(outcome: StreamOutcome): StreamRecord {
  return {
    id: outcome.id,
    receivedAt: outcome.receivedAt,
    model: outcome.model,
    fate: outcome.fate,
    durationMs: outcome.durationMs,
    attempt: attemptOf(outcome.attempt, -1),
    status: outcome.status,
    fault: faultOf(outcome.fault),
    bodyBytes: outcome.attempt.result.passed?.bodyBytes ?? 0,
    summary: outcome.summary,
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
