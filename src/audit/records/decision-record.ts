/**
 * The decision record: everything a person must know to understand one request, and nothing that belongs to
 * somebody else. No header but content type and user agent, no query string, no body, no sticky key's value.
 *
 * On disk it is a row, a msgpack array whose places are given in SPEC.md: 250 B where a map with short names
 * takes 360, and readable without any state besides itself. Fields are only
 * ever added at the end; a reader of version 1 finds version 1's places in every later row.
 */

import type { Operation } from '../../domain/intent.ts'
import { FINISH_REASON_LENGTH_MAX, type Kept, type Role, type Usage } from '../../domain/outcome.ts'
import type { BreakerName, Passed, Reason, ShadowFate } from '../../domain/plan.ts'
import {
  type AttemptRecord,
  decodeAttempt,
  decodeRole,
  encodeRole,
  NAME_LENGTH_MAX,
  writeAttempt,
} from './attempt-row.ts'
import {
  decodeFault,
  decodeKept,
  decodeUsage,
  type FaultRecord,
  writeFault,
  writeKept,
  writeUsage,
} from './ending-row.ts'
import { fromMicros, hexText, idText, toMicros, Words } from './row.ts'
import type { RowWriter } from './row-writer.ts'

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
  readonly fault: FaultRecord | null
  /** What the caller was sent; null when nothing was. Of one passed on: as announced, −1 when it was not. */
  readonly answer: { readonly bodyBytes: number; readonly contentType: string } | null
  /** Why the model stopped; empty where nothing told, and of an answer passed on, whose own record has it. */
  readonly finishReason: string
  readonly usage: Usage | null
  /** The answer had been given before; null: it was made for this request. */
  readonly kept: Kept | null
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

export const REASONS = new Words<Reason | ''>([
  '',
  'rule',
  'pin',
  'experiment',
  'canary',
  'primary',
  'fallback',
])
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
export const OPERATIONS = new Words<Operation | ''>(['', 'infer', 'call', 'metadata', 'ready'])

/** Lists are cut here; a configuration that long is beyond what a person reads. */
export const CANDIDATES_MAX = 32
export const ATTEMPTS_MAX = 16
export const SHADOWS_MAX = 16
export const PATH_LENGTH_MAX = 1024
export const TEXT_LENGTH_MAX = 256

export function writeDecision(row: RowWriter, record: DecisionRecord): void {
  const { client, request, plan, fault, answer } = record
  row.array(30)
  row.number(DECISION_VERSION)
  row.id(record.id)
  row.number(record.receivedAt)
  row.number(toMicros(record.durationMs))
  row.number(record.generation)
  row.hex(record.configHash)
  row.hex(record.traceId)
  row.text(client.address, TEXT_LENGTH_MAX)
  row.text(client.userAgent, TEXT_LENGTH_MAX)
  row.text(request.method, 32)
  row.text(request.path, PATH_LENGTH_MAX)
  row.text(request.contentType, TEXT_LENGTH_MAX)
  row.number(request.bodyBytes)
  row.text(record.model, NAME_LENGTH_MAX)
  row.text(record.protocol, NAME_LENGTH_MAX)
  row.word(OPERATIONS.encode(record.operation))
  row.text(record.pin, NAME_LENGTH_MAX)
  row.boolean(record.isShadow)
  row.text(record.keySource, TEXT_LENGTH_MAX)
  if (plan === null) row.nil()
  else writePlan(row, plan)
  const attempts = Math.min(record.attempts.length, ATTEMPTS_MAX)
  row.array(attempts)
  for (let index = 0; index < attempts; index += 1) writeAttempt(row, record.attempts[index]!)
  row.text(record.served, NAME_LENGTH_MAX)
  row.word(REASONS.encode(record.reason))
  row.text(record.degraded, TEXT_LENGTH_MAX)
  row.number(record.status)
  writeFault(row, fault)
  if (answer === null) row.nil()
  else {
    row.array(2)
    row.number(answer.bodyBytes)
    row.text(answer.contentType, TEXT_LENGTH_MAX)
  }
  row.text(record.finishReason, FINISH_REASON_LENGTH_MAX)
  writeUsage(row, record.usage)
  writeKept(row, record.kept)
}

export function decodeDecision(row: readonly unknown[]): DecisionRecord {
  const plan = row[19] as unknown[] | null
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
    fault: decodeFault(row[25]),
    answer: answer === null ? null : { bodyBytes: Number(answer[0]), contentType: String(answer[1]) },
    finishReason: String(row[27] ?? ''),
    usage: decodeUsage(row[28]),
    kept: decodeKept(row[29]),
  }
}

/** Its answer was still being passed on when this was written: a stream record tells the end. */
export function isStreaming({ attempts }: Pick<DecisionRecord, 'attempts'>): boolean {
  return attempts.at(-1)?.verdict === 'streaming'
}

/** Candidates and shadows lie flat, three and two places each: an array of its own costs a byte per entry. */
function writePlan(row: RowWriter, plan: PlanRecord): void {
  row.array(8)
  row.text(plan.version, NAME_LENGTH_MAX)
  row.word(REASONS.encode(plan.reason))
  row.word(encodeRole(plan.role))
  row.text(plan.experiment, NAME_LENGTH_MAX)
  row.text(plan.assigned, NAME_LENGTH_MAX)
  row.number(plan.point < 0 ? -1 : Math.round(plan.point * 1e6))
  const candidates = plan.candidates.slice(0, CANDIDATES_MAX)
  row.array(3 * candidates.length)
  for (const { version, passed, breaker } of candidates) {
    row.text(version, NAME_LENGTH_MAX)
    row.word(PASSED.encode(passed))
    row.word(BREAKERS.encode(breaker))
  }
  const shadows = plan.shadows.slice(0, SHADOWS_MAX)
  row.array(2 * shadows.length)
  for (const { version, fate } of shadows) {
    row.text(version, NAME_LENGTH_MAX)
    row.word(FATES.encode(fate))
  }
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
