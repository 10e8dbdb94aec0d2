/**
 * Everything the demo found out, as plain data: what `--json` prints and what the tables are made of. Every
 * number is of this run: durations from the admin API's histograms, counts from the log on disk, statuses
 * and truth from the callers.
 */

import { type Interval, wilson } from '../../analysis/interval.ts'
import type { Story } from '../../audit/find.ts'
import type { DurationStats } from './admin-client.ts'
import type { Change } from './breaker-watch.ts'
import type { ConsequenceCount, Evidence, RoleCounts } from './evidence.ts'
import type { Spell } from './story.ts'
import type { Baseline, Quality, Tally } from './tally.ts'

export interface DemoReport {
  /** Everything that should hold does. */
  readonly passed: boolean
  readonly checks: readonly Check[]
  readonly requests: number
  readonly seconds: number
  readonly callers: Callers
  readonly models: readonly ModelReport[]
  readonly breakers: readonly Change[]
  readonly spells: readonly Spell[]
  readonly consequences: readonly ConsequenceCount[]
  readonly shadows: readonly ShadowReport[]
  readonly quality: readonly Quality[]
  readonly baselines: readonly Baseline[]
  readonly log: LogReport
  /** One request's records; a fallback's when there was one. */
  readonly example: Story | null
}

export interface Check {
  readonly claim: string
  readonly ok: boolean
  /** What was found instead, or the number behind it. */
  readonly detail: string
}

export interface Callers {
  readonly statuses: Readonly<Record<string, number>>
  readonly ok: number
  readonly degraded: number
  readonly failed: number
  readonly p50_ms: number
  readonly p99_ms: number
  readonly p99_9_ms: number
}

export interface ModelReport {
  readonly model: string
  readonly requests: number
  readonly rows: readonly VersionRow[]
}

export interface VersionRow {
  readonly version: string
  readonly role: string
  readonly reasons: Readonly<Record<string, number>>
  readonly attempts: number
  readonly answered: number
  readonly failures: number
  readonly refused: number
  /** Null: nothing was timed. */
  readonly durations: { readonly p50_ms: number; readonly p99_ms: number; readonly p99_9_ms: number } | null
}

export interface ShadowReport extends Interval {
  readonly model: string
  readonly version: string
  readonly copies: number
  readonly answered: number
  readonly compared: number
  readonly agree: number
}

export interface LogReport {
  readonly dataDir: string
  readonly decisions: number
  readonly shadows: number
  readonly others: number
  readonly sequenced: number
  readonly lost: number
  /** All of this run's segments. */
  readonly verifiedRecords: number
  readonly verifiedSegments: number
  readonly isWhole: boolean
  readonly firstBad: string
}

export interface Findings {
  readonly checks: readonly Check[]
  readonly sent: number
  readonly seconds: number
  readonly dataDir: string
  readonly tally: Tally
  readonly stats: readonly DurationStats[]
  readonly evidence: Evidence
  readonly changes: readonly Change[]
  readonly spells: readonly Spell[]
  readonly example: Story | null
}

export function reportOf(findings: Findings): DemoReport {
  const { checks, sent, seconds, tally, evidence, changes, spells, example } = findings
  return {
    passed: checks.every(({ ok }) => ok),
    checks,
    requests: sent,
    seconds,
    callers: callersOf(tally),
    models: modelsOf(findings),
    breakers: changes,
    spells,
    consequences: evidence.consequences,
    shadows: [...evidence.shadows]
      .sort((a, b) => b.copies - a.copies)
      .map(({ model, version, copies, answered, agree, differ }) => ({
        ...{ model, version, copies, answered, agree },
        compared: agree + differ,
        ...wilson(agree, agree + differ),
      })),
    quality: [...tally.quality()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
    baselines: tally.baselines().sort((a, b) => b.rows - a.rows),
    log: logOf(findings),
    example,
  }
}

function keyOf({ model, version }: Quality): string {
  return `${model}/${version}`
}

function callersOf(tally: Tally): Callers {
  const { ok, degraded, failed } = tally
  const [p50 = 0, p99 = 0, p999 = 0] = tally.percentiles([50, 99, 99.9])
  const statuses = Object.fromEntries(tally.statuses)
  return { statuses, ok, degraded, failed, p50_ms: p50, p99_ms: p99, p99_9_ms: p999 }
}

const ROLE_ORDER = ['primary', 'arm', 'canary', 'fallback', 'shadow']

function modelsOf({ stats, evidence }: Findings): ModelReport[] {
  const models = [...new Set(evidence.roles.map(({ model }) => model))]
  const reports = models.map((model) => {
    const roles = evidence.roles.filter((one) => one.model === model)
    const requests = stats.find((one) => one.model === model && one.phase === 'request')?.count ?? 0
    const rows = roles.map((one) => rowOf(one, stats))
    const place = ({ role }: VersionRow) => ROLE_ORDER.indexOf(role)
    return { model, requests, rows: rows.sort((a, b) => place(a) - place(b) || b.answered - a.answered) }
  })
  return reports.sort((a, b) => b.requests - a.requests)
}

function rowOf(counts: RoleCounts, stats: readonly DurationStats[]): VersionRow {
  const { model, version, role, attempts, served, failures, refused } = counts
  const timed = stats.find(
    (one) => one.model === model && one.version === version && one.role === role && one.phase === 'total',
  )
  return {
    version,
    role,
    reasons: Object.fromEntries(counts.reasons),
    attempts,
    answered: served,
    failures,
    refused,
    durations:
      timed === undefined ? null : { p50_ms: timed.p50_ms, p99_ms: timed.p99_ms, p99_9_ms: timed.p99_9_ms },
  }
}

function logOf({ dataDir, evidence }: Findings): LogReport {
  const { verdict, decisions, shadowRecords, otherRecords, sequenced, lost } = evidence
  const { firstBad, records, segments, isWhole } = verdict
  return {
    dataDir,
    decisions,
    shadows: shadowRecords,
    others: otherRecords,
    sequenced,
    lost,
    verifiedRecords: records,
    verifiedSegments: segments,
    isWhole,
    firstBad: firstBad === null ? '' : `${firstBad.file}, byte ${firstBad.at}: ${firstBad.problem}`,
  }
}
