/** Records as the request path makes them, for tests that do not care what is in them. */
import { randomBytes } from 'node:crypto'
import type { DecisionRecord } from '../../src/audit/records/decision-record.ts'
import type { StreamRecord } from '../../src/audit/records/stream-record.ts'
import { RequestIds } from '../../src/kernel/request-id.ts'

const ids = new RequestIds()

export function sampleDecision(more: Partial<DecisionRecord> = {}): DecisionRecord {
  const receivedAt = more.receivedAt ?? Date.now()
  return {
    id: ids.next(receivedAt),
    receivedAt,
    durationMs: 3.456,
    generation: 3,
    configHash: '5f'.repeat(32),
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    client: { address: '10.0.0.5', userAgent: 'curl/8.5.0' },
    request: {
      method: 'POST',
      path: '/v2/models/fraud/infer',
      contentType: 'application/json',
      bodyBytes: 512,
    },
    model: 'fraud',
    protocol: 'open-inference',
    operation: 'infer',
    pin: '',
    isShadow: false,
    keySource: 'header:x-user-id',
    plan: {
      version: 'v2',
      reason: 'canary',
      role: 'canary',
      experiment: '',
      assigned: 'v2',
      point: 0.034212,
      candidates: [
        { version: 'v1', passed: 'lower-precedence', breaker: 'closed' },
        { version: 'v2', passed: 'chosen', breaker: 'half-open' },
        { version: 'v3', passed: 'shadow-only', breaker: 'open' },
      ],
      shadows: [{ version: 'v3', fate: 'planned' }],
    },
    attempts: [
      {
        version: 'v2',
        role: 'canary',
        afterMs: 0.12,
        endpoint: 'http://10.0.0.11:8000',
        reused: true,
        queueMs: 0,
        connectMs: -1,
        firstByteMs: 2.3,
        totalMs: 2.4,
        status: 200,
        answerBytes: 128,
        faultCode: '',
        faultDetail: '',
        verdict: 'success',
        sieve: null,
        hedge: null,
      },
    ],
    served: 'v2',
    reason: 'canary',
    degraded: '',
    status: 200,
    fault: null,
    answer: { bodyBytes: 128, contentType: 'application/json' },
    finishReason: '',
    kept: null,
    usage: null,
    ...more,
  }
}

/** As it is written when an answer begins to be passed on. */
export function sampleOpened(more: Partial<DecisionRecord> = {}): DecisionRecord {
  const sample = sampleDecision(more)
  const [attempt] = sample.attempts
  return {
    ...sample,
    attempts: [{ ...attempt!, verdict: 'streaming', answerBytes: -1 }],
    answer: { bodyBytes: -1, contentType: 'text/event-stream' },
    ...more,
  }
}

/** How it ended. */
export function sampleStream(
  { id, receivedAt, attempts }: Pick<DecisionRecord, 'id' | 'receivedAt' | 'attempts'>,
  more: Partial<StreamRecord> = {},
): StreamRecord {
  const attempt = { ...attempts.at(-1)!, verdict: 'success' as const, afterMs: -1 }
  return {
    id,
    receivedAt,
    model: 'fraud',
    fate: 'complete',
    durationMs: 2345.678,
    attempt: { ...attempt, firstByteMs: 210, totalMs: 2345, answerBytes: 12_345 },
    status: 200,
    fault: null,
    bodyBytes: 12_345,
    summary: {
      finishReason: 'stop',
      usage: { prompt: 12, completion: 100, total: 112 },
      events: 103,
      problem: '',
    },
    ...more,
  }
}

export const sampleInputs = { key: 'user-4711', request: randomBytes(512), answer: randomBytes(128) }
