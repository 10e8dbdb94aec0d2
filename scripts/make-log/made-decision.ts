/** One request of a made log, and what followed it: the decision, the copy of a shadow, the end of a stream. */

import type { SeededChance } from '../../native-bench/simulate/seeded-chance.ts'
import type { AttemptRecord } from '../../src/audit/records/attempt-row.ts'
import type { DecisionRecord, PlanRecord } from '../../src/audit/records/decision-record.ts'
import type { ShadowRecord } from '../../src/audit/records/shadow-record.ts'
import type { StreamRecord } from '../../src/audit/records/stream-record.ts'
import { around, type CastCaller, type CastModel, type CastVersion } from './cast.ts'

export interface Moment {
  readonly at: number
  readonly id: string
  readonly caller: CastCaller
  readonly generation: number
  readonly configHash: string
}

export interface Served {
  readonly record: DecisionRecord
  readonly isStream: boolean
}

interface Circumstances {
  readonly user: number
  readonly isAiling: boolean
  /** Of the canary, or of an experiment's second arm. */
  readonly percent: number
  readonly chance: SeededChance
}

export function madeDecision(model: CastModel, moment: Moment, circumstances: Circumstances): Served {
  const { user, isAiling, percent, chance } = circumstances
  const point = ((user * 2_654_435_761) % 1_000_000) / 1_000_000
  const isSecond = point < percent / 100
  const plan = planOf(model, point, isSecond)
  const isStream = model.streaming > 0 && chance.next() < model.streaming
  const chosen = model.versions[isSecond ? 1 : 0]!
  const first = attempt(chosen, {
    role: plan.role,
    isFailing: fails(chosen, isAiling && !isSecond, chance),
    chance,
  })
  const attempts = [first]
  if (first.verdict === 'failure') {
    const spare = model.versions[isSecond ? 0 : 1]!
    attempts.push(attempt(spare, { role: 'fallback', isFailing: fails(spare, false, chance), chance }))
  }
  const last = attempts.at(-1)!
  const isAnswered = last.verdict === 'success'
  const isFallback = attempts.length > 1
  if (isAnswered && isStream) {
    last.verdict = 'streaming'
    last.answerBytes = -1
  }
  const durationMs = attempts.reduce((sum, { totalMs }) => sum + totalMs, 0.15)
  const { at, id, caller, generation, configHash } = moment
  const { protocol } = model
  const answerType = isStream ? 'text/event-stream' : 'application/json'
  const record: DecisionRecord = {
    id,
    receivedAt: at,
    durationMs,
    generation,
    configHash,
    traceId: traceOf(chance),
    client: caller,
    request: requestOf(model, chance),
    model: model.name,
    protocol,
    operation: protocol === 'raw' ? 'call' : 'infer',
    pin: '',
    isShadow: false,
    keySource: 'header:x-user-id',
    plan,
    attempts,
    served: isAnswered ? last.version : '',
    reason: isFallback ? 'fallback' : plan.reason,
    degraded: isFallback && isAnswered ? `version:${last.version}` : '',
    status: isAnswered ? 200 : 504,
    fault: isAnswered
      ? null
      : { code: last.faultCode, message: 'no first byte within 1 s', detail: last.endpoint },
    answer: { bodyBytes: isAnswered ? attempts.at(-1)!.answerBytes : 120, contentType: answerType },
    finishReason: protocol === 'openai' && isAnswered && !isStream ? 'stop' : '',
    usage: protocol === 'openai' && isAnswered && !isStream ? usage(chance) : null,
    kept: null,
  }
  return { record, isStream: isStream && isAnswered }
}

function requestOf({ protocol, path, contentType }: CastModel, chance: SeededChance) {
  const bodyBytes = Math.floor(around(protocol === 'raw' ? 60_000 : 700, 0.5, chance))
  return { method: 'POST', path, contentType, bodyBytes }
}

/** How the stream of such a decision ended. */
export function madeStream({ record }: Served, chance: SeededChance): StreamRecord {
  const opened = record.attempts.at(-1)!
  const isWhole = chance.next() < 0.985
  const durationMs = record.durationMs + around(1800, 0.6, chance)
  const bodyBytes = Math.floor(around(14_000, 0.6, chance))
  const attempt = Object.assign(opened, {
    afterMs: -1,
    totalMs: durationMs,
    answerBytes: bodyBytes,
    verdict: isWhole ? 'success' : 'neutral',
  })
  return {
    id: record.id,
    receivedAt: record.receivedAt,
    model: record.model,
    fate: isWhole ? 'complete' : chance.next() < 0.5 ? 'broken' : 'client-gone',
    durationMs,
    attempt,
    status: 200,
    fault: null,
    bodyBytes,
    summary: {
      finishReason: isWhole ? 'stop' : '',
      usage: isWhole ? usage(chance) : null,
      events: Math.floor(bodyBytes / 120),
      problem: isWhole ? '' : 'no [DONE]',
    },
  }
}

export function madeShadow(model: CastModel, { record }: Served, chance: SeededChance): ShadowRecord {
  const version = model.versions.find(({ name }) => name === model.shadow)!
  const drawn = chance.next()
  const isAnswered = drawn < 0.97
  const agrees = chance.next() < 0.93
  const tried = attempt(version, { role: 'shadow', isFailing: !isAnswered, chance })
  return {
    id: record.id,
    receivedAt: record.receivedAt,
    model: model.name,
    version: model.shadow,
    fate: isAnswered ? 'answered' : drawn < 0.98 ? 'cap' : 'timeout',
    agreement: isAnswered ? (agrees ? 'agree' : 'differ') : 'not-compared',
    differences: isAnswered ? [agrees ? 0 : Math.round(1e6 * chance.next()) / 1e6] : [],
    attempt: isAnswered ? tried : null,
  }
}

function planOf(model: CastModel, point: number, isSecond: boolean): PlanRecord {
  const isExperiment = model.experiment !== ''
  const version = isSecond ? 'v2' : 'v1'
  const reason = isExperiment ? 'experiment' : isSecond ? 'canary' : 'primary'
  return {
    version,
    reason,
    role: isExperiment ? 'arm' : isSecond ? 'canary' : 'primary',
    experiment: model.experiment,
    assigned: version,
    point,
    candidates: model.versions.map(({ name }) => ({
      version: name,
      passed:
        name === version
          ? 'chosen'
          : name === 'v3'
            ? 'shadow-only'
            : isExperiment
              ? 'other-arm'
              : 'outside-percent',
      breaker: 'closed',
    })),
    shadows: model.shadow === '' ? [] : [{ version: model.shadow, fate: 'planned' }],
  }
}

function fails({ failing }: CastVersion, isAiling: boolean, chance: SeededChance): boolean {
  return chance.next() < (isAiling ? 0.55 : failing)
}

/** Attempts of a made decision change before it is done: an object spread anew costs microseconds. */
type Draft = { -readonly [field in keyof AttemptRecord]: AttemptRecord[field] }

interface Trying {
  readonly role: AttemptRecord['role']
  readonly isFailing: boolean
  readonly chance: SeededChance
}

function attempt(
  { name, endpoints, medianMs, answerBytes }: CastVersion,
  { role, isFailing, chance }: Trying,
): Draft {
  const totalMs = isFailing ? 1000 + chance.next() : around(medianMs, 0.4, chance)
  const reused = chance.next() < 0.995
  return {
    version: name,
    role,
    afterMs: role === 'shadow' ? -1 : 0.1 + 0.05 * chance.next(),
    endpoint: endpoints[chance.next() < 0.5 ? 0 : 1]!,
    reused,
    queueMs: 0,
    connectMs: reused ? -1 : 0.4,
    firstByteMs: isFailing ? -1 : 0.97 * totalMs,
    totalMs,
    status: isFailing ? 0 : 200,
    answerBytes: isFailing ? 0 : Math.floor(answerBytes * (0.9 + 0.2 * chance.next())),
    faultCode: isFailing ? 'first-byte-timeout' : '',
    faultDetail: '',
    verdict: isFailing ? 'failure' : 'success',
    hedge: null,
    sieve: null,
  }
}

function usage(chance: SeededChance): { prompt: number; completion: number; total: number } {
  const prompt = 40 + Math.floor(900 * chance.next() ** 2)
  const completion = 20 + Math.floor(600 * chance.next())
  return { prompt, completion, total: prompt + completion }
}

/** Half the callers trace. */
function traceOf(chance: SeededChance): string {
  if (chance.next() < 0.5) return ''
  let text = ''
  for (let word = 0; word < 4; word += 1)
    text += Math.floor(chance.next() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')
  return text
}
