/**
 * What the log says about this run: read from the disk after the gateway closed it, every frame checked,
 * every caller's answer looked for by its id. Nothing here comes from the gateway's memory. Every run begins
 * a segment of its own, so the logs of earlier runs need not be read.
 */
import { listSegments } from '../../audit/paths.ts'
import { readLog, segmentHeader } from '../../audit/read.ts'
import type { AttemptRecord } from '../../audit/records/attempt-row.ts'
import type { DecisionRecord } from '../../audit/records/decision-record.ts'
import type { ShadowRecord } from '../../audit/records/shadow-record.ts'
import type { StreamRecord } from '../../audit/records/stream-record.ts'
import type { LogVerdict } from '../../audit/verify/log-verdict.ts'
import { verifyLog } from '../../audit/verify/verify-log.ts'
import { bump, type Receipt } from './tally.ts'

/** What one version did in one role. */
export interface RoleCounts {
  readonly model: string
  readonly version: string
  readonly role: string
  /** Attempts that reached the version, answers it gave to callers, failures, refusals by its breaker. */
  attempts: number
  served: number
  failures: number
  refused: number
  /** Why it was asked, of those it served. */
  readonly reasons: Map<string, number>
}

export interface ShadowCounts {
  readonly model: string
  readonly version: string
  copies: number
  answered: number
  agree: number
  differ: number
}

export interface ConsequenceCount {
  readonly model: string
  /** Fault code that called for it. */
  readonly because: string
  /** As configured: `version:linear`. */
  readonly consequence: string
  requests: number
}

export interface Evidence {
  readonly verdict: LogVerdict
  readonly decisions: number
  readonly shadowRecords: number
  readonly otherRecords: number
  /** Records of this run that have their place in the one sequence. */
  readonly sequenced: number
  /** By the gateway's own account. */
  readonly lost: number
  /** Copies that decisions announced. */
  readonly shadowsPlanned: number
  readonly roles: readonly RoleCounts[]
  readonly shadows: readonly ShadowCounts[]
  readonly consequences: readonly ConsequenceCount[]
  /** Answers with no record, with more than one, and with one that says something else. */
  readonly missing: readonly string[]
  readonly twice: readonly string[]
  readonly contradicted: readonly string[]
}

/** `since`: Unix ms before which nothing is of this run. */
export async function gatherEvidence(
  dataDir: string,
  since: number,
  receipts: readonly Receipt[],
): Promise<Evidence> {
  const from = await firstSince(dataDir, since)
  const verdict = verifyLog(dataDir, { from })
  const gathering = new Gathering(receipts)
  for await (const record of readLog(dataDir, from)) {
    if (record.type === 'decision' && record.decision.receivedAt >= since) gathering.decision(record.decision)
    else if (record.type === 'shadow' && record.shadow.receivedAt >= since) gathering.shadow(record.shadow)
    else if (record.type === 'stream' && record.stream.receivedAt >= since) gathering.stream(record.stream)
    else if ('note' in record && Number(record.note.at) >= since) gathering.note(record.type, record.note)
    else continue
    if (record.place.sequence !== null) gathering.sequenced += 1
  }
  return gathering.result(verdict)
}

/** The sequence with which the first segment begins that was made since then, or the next one will. */
async function firstSince(dataDir: string, since: number): Promise<number> {
  let found: number | undefined
  for (const { path, first } of listSegments(dataDir).reverse()) {
    const header = await segmentHeader(path)
    if (header === undefined || header.createdAt < since) return found ?? first + 1
    found = first
  }
  return found ?? 0
}

class Gathering {
  sequenced = 0
  #decisions = 0
  #shadowRecords = 0
  #otherRecords = 0
  #lost = 0
  #shadowsPlanned = 0
  readonly #roles = new Map<string, RoleCounts>()
  readonly #shadows = new Map<string, ShadowCounts>()
  readonly #consequences = new Map<string, ConsequenceCount>()
  readonly #receipts: ReadonlyMap<string, Receipt>
  readonly #found = new Map<string, number>()
  readonly #contradicted: string[] = []

  constructor(receipts: readonly Receipt[]) {
    this.#receipts = new Map(receipts.map((receipt) => [receipt.id, receipt]))
  }

  decision(decision: DecisionRecord): void {
    const { id, model, attempts, served, degraded, fault, plan } = decision
    this.#decisions += 1
    this.#shadowsPlanned += plan?.shadows.filter(({ fate }) => fate === 'planned').length ?? 0
    for (const [index, attempt] of attempts.entries()) {
      const isServing = served !== '' && index === attempts.length - 1
      this.#attempt(model, attempt, isServing ? decision.reason : '')
    }
    if (degraded !== '') this.#consequence(model, fault?.code ?? '', degraded)
    const receipt = this.#receipts.get(id)
    if (receipt === undefined) return
    bump(this.#found, id)
    if (!says(decision, receipt)) this.#contradicted.push(id)
  }

  shadow({ model, version, fate, agreement, attempt }: ShadowRecord): void {
    this.#shadowRecords += 1
    const counts = at(this.#shadows, `${model}\n${version}`, () => ({
      ...{ model, version },
      ...{ copies: 0, answered: 0, agree: 0, differ: 0 },
    }))
    counts.copies += 1
    if (fate === 'answered') counts.answered += 1
    if (agreement === 'agree') counts.agree += 1
    if (agreement === 'differ') counts.differ += 1
    if (attempt !== null) this.#attempt(model, attempt, '')
  }

  /** Its attempt was counted with the decision, when it was not known yet how it would end. */
  stream({ model, attempt }: StreamRecord): void {
    this.#otherRecords += 1
    if (attempt.verdict === 'failure') this.#countsOf(model, attempt).failures += 1
  }

  note(type: string, note: Readonly<Record<string, unknown>>): void {
    this.#otherRecords += 1
    if (type === 'gap') this.#lost += Number(note.records)
  }

  result(verdict: LogVerdict): Evidence {
    const ids = [...this.#receipts.keys()]
    return {
      verdict,
      decisions: this.#decisions,
      shadowRecords: this.#shadowRecords,
      otherRecords: this.#otherRecords,
      sequenced: this.sequenced,
      lost: this.#lost,
      shadowsPlanned: this.#shadowsPlanned,
      roles: [...this.#roles.values()],
      shadows: [...this.#shadows.values()],
      consequences: [...this.#consequences.values()],
      missing: ids.filter((id) => !this.#found.has(id)),
      twice: ids.filter((id) => (this.#found.get(id) ?? 0) > 1),
      contradicted: this.#contradicted,
    }
  }

  /** `reason`: why the version was asked, when this attempt gave the answer; else empty. */
  #attempt(model: string, attempt: AttemptRecord, reason: string): void {
    const { faultCode, verdict } = attempt
    const counts = this.#countsOf(model, attempt)
    if (faultCode === 'breaker-open') {
      counts.refused += 1
      return
    }
    counts.attempts += 1
    if (verdict === 'failure') counts.failures += 1
    if (reason === '') return
    counts.served += 1
    bump(counts.reasons, reason)
  }

  #countsOf(model: string, { version, role }: AttemptRecord): RoleCounts {
    return at(this.#roles, `${model}\n${version}\n${role}`, () => ({
      ...{ model, version, role },
      ...{ attempts: 0, served: 0, failures: 0, refused: 0 },
      reasons: new Map<string, number>(),
    }))
  }

  #consequence(model: string, because: string, consequence: string): void {
    const fresh = () => ({ model, because, consequence, requests: 0 })
    at(this.#consequences, `${model}\n${because}\n${consequence}`, fresh).requests += 1
  }
}

function says(record: DecisionRecord, receipt: Receipt): boolean {
  return (
    record.status === receipt.status &&
    record.served === receipt.version &&
    record.degraded === receipt.degraded
  )
}

function at<V>(map: Map<string, V>, key: string, fresh: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = fresh()
  map.set(key, made)
  return made
}
