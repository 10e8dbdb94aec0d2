/**
 * The decision record: everything a person must know to understand one request, and nothing that belongs to
 * somebody else. No header but content type and user agent, no query string, no body, no sticky key's value.
 *
 * On disk it is a row, a msgpack array whose places are given in SPEC.md: 250 B where a map with short names
 * takes 360, packed in two thirds of the time, and readable without any state besides itself. Fields are only
 * ever added at the end; a reader of version 1 finds version 1's places in every later row.
 */

import type { Operation } from '../../domain/intent.ts'
import type { Role } from '../../domain/outcome.ts'
import type { BreakerName, Passed, Reason, ShadowFate } from '../../domain/plan.ts'
import {
  type AttemptRecord,
  DETAIL_LENGTH_MAX,
  decodeAttempt,
  decodeRole,
  encodeAttempt,
  encodeRole,
  NAME_LENGTH_MAX,
} from './attempt-row.ts'
import { clip, fromMicros, hexBytes, hexText, idBytes, idText, toMicros, Words } from './row.ts'

export const DECISION_VERSION = 1

export interface DecisionRecord {
  readonly id: string
  /** Unix ms. */
  readonly receivedAt: number
  readonly durationMs: number
  readonly generation: number
  /** SHA-256, hex. */
  readonly configHash: string
  /** W3C trace id, or empty. */
  readonly traceId: string
  readonly client: { readonly address: string; readonly userAgent: string }
  readonly request: RequestRecord
  /** Empty where a refusal came before it was known. */
  readonly model: string
  readonly protocol: string
  readonly operation: Operation | ''
  /** Version asked for by path or pin; empty when the choice was ours. */
  readonly pin: string
  readonly isShadow: boolean
  /** Source of the sticky key; empty when none was looked for. */
  readonly keySource: string
  readonly plan: PlanRecord | null
  readonly attempts: readonly AttemptRecord[]
  readonly served: string
  readonly reason: Reason | ''
  readonly degraded: string
  readonly status: number
  readonly fault: { readonly code: string; readonly message: string; readonly detail: string } | null
  /** What the caller was sent; null when nothing was. */
  readonly answer: { readonly bodyBytes: number; readonly contentType: string } | null
}

export interface RequestRecord {
  readonly method: string
  readonly path: string
  readonly contentType: string
  readonly bodyBytes: number
}

export interface PlanRecord {
  readonly version: string
  readonly reason: Reason
  readonly role: Role
  readonly experiment: string
  readonly assigned: string
  /** Where the key fell in [0, 1), to six decimals; −1 when no percentage was asked. */
  readonly point: number
  readonly candidates: readonly {
    readonly version: string
    readonly passed: Passed
    readonly breaker: BreakerName
  }[]
  readonly shadows: readonly { readonly version: string; readonly fate: ShadowFate }[]
}

const REASONS = new Words<Reason | ''>(['', 'rule', 'pin', 'experiment', 'canary', 'primary', 'fallback'])
const PASSED = new Words<Passed>([
  'chosen',
  'rule-did-not-match',
  'not-pinned',
  'other-arm',
  'outside-percent',
  'lower-precedence',
  'only-on-failure',
  'shadow-only',
  'not-routed',
])
const BREAKERS = new Words<BreakerName>(['closed', 'open', 'half-open'])
const FATES = new Words<ShadowFate>([
  'planned',
  'sampled_out',
  'not_idempotent',
  'is_shadow',
  'served_version',
])
const OPERATIONS = new Words<Operation | ''>(['', 'infer', 'call', 'metadata', 'ready'])

/** Lists are cut here; a configuration that long is beyond what a person reads. */
export const CANDIDATES_MAX = 32
export const ATTEMPTS_MAX = 16
export const SHADOWS_MAX = 16
export const PATH_LENGTH_MAX = 1024
export const TEXT_LENGTH_MAX = 256

export function encodeDecision(record: DecisionRecord): unknown[] {
  const { client, request, plan, fault, answer } = record
  return [
    DECISION_VERSION,
    idBytes(record.id),
    record.receivedAt,
    toMicros(record.durationMs),
    record.generation,
    configBytes(record.configHash),
    hexBytes(record.traceId),
    clip(client.address, TEXT_LENGTH_MAX),
    clip(client.userAgent, TEXT_LENGTH_MAX),
    clip(request.method, 32),
    clip(request.path, PATH_LENGTH_MAX),
    clip(request.contentType, TEXT_LENGTH_MAX),
    request.bodyBytes,
    clip(record.model, NAME_LENGTH_MAX),
    record.protocol,
    OPERATIONS.encode(record.operation),
    clip(record.pin, NAME_LENGTH_MAX),
    record.isShadow,
    clip(record.keySource, TEXT_LENGTH_MAX),
    plan === null ? null : encodePlan(plan),
    record.attempts.slice(0, ATTEMPTS_MAX).map(encodeAttempt),
    clip(record.served, NAME_LENGTH_MAX),
    REASONS.encode(record.reason),
    clip(record.degraded, TEXT_LENGTH_MAX),
    record.status,
    fault === null
      ? null
      : [fault.code, clip(fault.message, DETAIL_LENGTH_MAX), clip(fault.detail, DETAIL_LENGTH_MAX)],
    answer === null ? null : [answer.bodyBytes, clip(answer.contentType, TEXT_LENGTH_MAX)],
  ]
}

/** One configuration serves millions of requests; its hash is turned into bytes once. */
let lastHash = ''
let lastHashBytes = hexBytes('')

function configBytes(hash: string): Buffer {
  if (hash !== lastHash) {
    lastHash = hash
    lastHashBytes = hexBytes(hash)
  }
  return lastHashBytes
}

export function decodeDecision(row: readonly unknown[]): DecisionRecord {
  const plan = row[19] as unknown[] | null
  const fault = row[25] as unknown[] | null
  const answer = row[26] as unknown[] | null
  return {
    id: idText(row[1]),
    receivedAt: Number(row[2]),
    durationMs: fromMicros(row[3]),
    generation: Number(row[4]),
    configHash: hexText(row[5]),
    traceId: hexText(row[6]),
    client: { address: String(row[7]), userAgent: String(row[8]) },
    request: {
      method: String(row[9]),
      path: String(row[10]),
      contentType: String(row[11]),
      bodyBytes: Number(row[12]),
    },
    model: String(row[13]),
    protocol: String(row[14]),
    operation: OPERATIONS.decode(row[15]),
    pin: String(row[16]),
    isShadow: row[17] === true,
    keySource: String(row[18]),
    plan: plan === null ? null : decodePlan(plan),
    attempts: (row[20] as unknown[][]).map(decodeAttempt),
    served: String(row[21]),
    reason: REASONS.decode(row[22]),
    degraded: String(row[23]),
    status: Number(row[24]),
    fault:
      fault === null ? null : { code: String(fault[0]), message: String(fault[1]), detail: String(fault[2]) },
    answer: answer === null ? null : { bodyBytes: Number(answer[0]), contentType: String(answer[1]) },
  }
}

/** Candidates and shadows lie flat, three and two places each: an array of its own costs a byte per entry. */
function encodePlan(plan: PlanRecord): unknown[] {
  const candidates: unknown[] = []
  for (const { version, passed, breaker } of plan.candidates.slice(0, CANDIDATES_MAX)) {
    candidates.push(clip(version, NAME_LENGTH_MAX), PASSED.encode(passed), BREAKERS.encode(breaker))
  }
  const shadows: unknown[] = []
  for (const { version, fate } of plan.shadows.slice(0, SHADOWS_MAX)) {
    shadows.push(clip(version, NAME_LENGTH_MAX), FATES.encode(fate))
  }
  return [
    clip(plan.version, NAME_LENGTH_MAX),
    REASONS.encode(plan.reason),
    encodeRole(plan.role),
    clip(plan.experiment, NAME_LENGTH_MAX),
    clip(plan.assigned, NAME_LENGTH_MAX),
    plan.point < 0 ? -1 : Math.round(plan.point * 1e6),
    candidates,
    shadows,
  ]
}

function decodePlan(row: readonly unknown[]): PlanRecord {
  const point = Number(row[5])
  const candidates = row[6] as unknown[]
  const shadows = row[7] as unknown[]
  return {
    version: String(row[0]),
    reason: REASONS.decode(row[1]) as Reason,
    role: decodeRole(row[2]),
    experiment: String(row[3]),
    assigned: String(row[4]),
    point: point < 0 ? -1 : point / 1e6,
    candidates: inGroups(candidates, 3).map(([version, passed, breaker]) => ({
      version: String(version),
      passed: PASSED.decode(passed),
      breaker: BREAKERS.decode(breaker),
    })),
    shadows: inGroups(shadows, 2).map(([version, fate]) => ({
      version: String(version),
      fate: FATES.decode(fate),
    })),
  }
}

function inGroups(flat: readonly unknown[], size: number): unknown[][] {
  const groups: unknown[][] = []
  for (let at = 0; at + size <= flat.length; at += size) groups.push(flat.slice(at, at + size))
  return groups
}
