/**
 * The report as data: what `--format json` prints and what text and pages are made of. Its fields are described in
 * docs/audit-report.md, which a test compares with what is made. Within `modelgate-audit-report/1` fields are only added.
 *
 * Times are ISO 8601 in UTC. Shares and rates are 0 to 1. `null` is: there is nothing to tell it from.
 */

export const REPORT_FORMAT = 'modelgate-audit-report/1'

export interface Report {
  readonly format: typeof REPORT_FORMAT
  readonly model: string
  /** From and including `from`, up to and not including `to`. */
  readonly range: { readonly from: string; readonly to: string }
  /** When the log was asked; it may have grown since. */
  readonly askedAt: string
  readonly glance: Glance
  readonly traffic: Traffic
  readonly changes: readonly Change[]
  /** Changes that the comparisons leave out, because there were more than could be told. */
  readonly changesNotCompared: number
  readonly approvals: readonly Approval[]
  readonly actions: Actions
  readonly outcomes: readonly OutcomeSummary[]
  readonly timeline: readonly Moment[]
  /** Moments that were left out of `timeline`. */
  readonly timelineLeftOut: number
  readonly completeness: Completeness
  readonly evidence: Evidence
}

/** Requests to the model. Questions about it (metadata, readiness) are counted apart and nowhere else. */
export interface Counts {
  readonly requests: number
  /** By the version that was meant to, without trouble. */
  readonly answered: number
  /** A declared consequence answered in its place. */
  readonly degraded: number
  /** The caller got an error that was not its own doing, or nothing is known of the end (`unknown_crash`). */
  readonly failed: number
  /** Refused because of what the caller sent, or it left. */
  readonly callersDoing: number
}

export interface Glance extends Counts {
  readonly answeredBy: readonly {
    readonly version: string
    readonly requests: number
    readonly share: number
  }[]
  /** Answered with what an earlier request was answered: cache, idempotency key. */
  readonly kept: number
  readonly questions: number
  /** What stands out, most important first. */
  readonly findings: readonly Finding[]
}

export interface Finding {
  readonly weight: 'bad' | 'notable' | 'good'
  readonly words: string
  /** What it consists of. */
  readonly details: readonly string[]
}

export interface Traffic {
  readonly slotMs: number
  /** Beginnings of the slots of all `overTime` lists; the first and the last may be cut by the range. */
  readonly slots: readonly string[]
  readonly versions: readonly VersionTraffic[]
  /** How requests ended: `ok` or the code of a fault. */
  readonly endings: readonly Ending[]
  readonly shadows: readonly ShadowTraffic[]
  /** Answers that were passed on as they came, by how that ended. */
  readonly streams: readonly { readonly fate: string; readonly answers: number }[]
}

export interface VersionTraffic {
  readonly version: string
  /** It gave the answer. */
  readonly answers: number
  readonly share: number
  /** It was meant to answer, and the caller did nothing wrong. */
  readonly meant: number
  /** Of `meant`: the caller got an error, or a declared consequence answered. */
  readonly troubled: number
  readonly troubleRate: Estimate | null
  /** Of its answers; of those passed on as they came, until their first byte. */
  readonly durationMs: Percentiles | null
  readonly overTime: {
    readonly answers: readonly number[]
    readonly meant: readonly number[]
    readonly troubled: readonly number[]
    readonly p50Ms: readonly (number | null)[]
    readonly p95Ms: readonly (number | null)[]
    readonly p99Ms: readonly (number | null)[]
  }
}

/** A number and where it lies with 95 % certainty, told from `n` observations. `null`: too few for a bound. */
export interface Estimate {
  readonly value: number
  readonly low: number | null
  readonly high: number | null
  readonly n: number
}

export interface Percentiles {
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

export interface Ending {
  readonly outcome: string
  readonly meaning: string
  readonly requests: number
  readonly overTime: readonly number[]
}

export interface ShadowTraffic {
  readonly version: string
  readonly copies: number
  readonly answered: number
  readonly agree: number
  readonly differ: number
  readonly agreement: Estimate | null
  readonly durationMs: Percentiles | null
  readonly overTime: { readonly compared: readonly number[]; readonly agree: readonly number[] }
}

export interface Change {
  /** From 1, as on the charts. */
  readonly number: number
  readonly at: string
  readonly sequence: number | null
  readonly kind: 'config' | 'rollout'
  readonly words: string
  /** Of a configuration. */
  readonly config: ConfigInForce | null
  /** Of a rollout: who, or empty when it acted by itself. */
  readonly by: string
  readonly approval: ApprovalState
  /** In words, also where there is no record of it. */
  readonly approvalWords: string
  /** Null where it is one of those left out. */
  readonly comparison: Comparison | null
}

export interface ConfigInForce {
  readonly hash: string
  readonly generation: number
  readonly file: string
  /** The one before; empty when the log knows none. */
  readonly previous: string
  /** It had been in force before. */
  readonly isReturn: boolean
}

/** `late`: approved only after it was in force. `other-base`: approved as a change of another configuration. */
export type ApprovalState = 'approved' | 'late' | 'other-base' | 'rejected' | 'none' | 'not-needed'

export interface Approval {
  readonly at: string
  readonly sequence: number | null
  readonly change: string
  readonly by: string
  readonly isApproved: boolean
  readonly words: string
  readonly base: string
  readonly result: string
  /** `number` of the change it is about; null when that is not in the range. */
  readonly of: number | null
}

/** From the change before (or the range's beginning) to the change; from there to the next (or the range's end). */
export interface Comparison {
  readonly before: { readonly from: string; readonly to: string; readonly requests: number }
  readonly after: { readonly from: string; readonly to: string; readonly requests: number }
  /** Each version by itself, before and after. */
  readonly versions: readonly (Difference & { readonly version: string; readonly share: Pair })[]
  /** Of the time after: each version against the one that answered most; `before` of a pair is of `against`. */
  readonly beside: readonly (Difference & { readonly version: string; readonly against: string })[]
}

export interface Difference {
  readonly troubleRate: Pair
  readonly p99Ms: Pair
  /** Mean of each outcome. */
  readonly outcomes: readonly (Pair & { readonly name: string; readonly unit: string })[]
}

export interface Pair {
  readonly before: Estimate | null
  readonly after: Estimate | null
  /** Of `after` against `before`. `one-sided`: there is nothing on the other side. */
  readonly verdict: 'higher' | 'lower' | 'no-clear-difference' | 'too-few-to-tell' | 'one-sided'
}

export interface Actions {
  readonly breakers: readonly BreakerSummary[]
  readonly endpoints: readonly EndpointSummary[]
  readonly consequences: readonly ConsequenceSummary[]
  /** Requests that any of them touched, and how many distinct callers and sticky keys these had. */
  readonly touched: Touched
  /** Lanes that were replaced after an error. */
  readonly lanesReplaced: number
  /** The highest level of pressure that began in the range, 0 to 3. */
  readonly pressureMax: number
}

export interface BreakerSummary {
  readonly version: string
  readonly isEnforced: boolean
  readonly openings: number
  /** Not closed: open, or letting probes through. Within the range. */
  readonly notClosedMs: number
  readonly spells: readonly Spell[]
}

/** From the opening until it was closed again. */
export interface Spell {
  /** Null: before the range. */
  readonly from: string | null
  /** Null: it was not over at the range's end. */
  readonly to: string | null
  readonly cause: string
  readonly ended: string
  readonly sequence: number | null
  /** How often a probe failed and it opened anew. */
  readonly reopened: number
}

export interface EndpointSummary {
  readonly version: string
  readonly endpoint: string
  readonly outs: number
  readonly outMs: number
  readonly spells: readonly Spell[]
}

export interface Touched {
  readonly requests: number
  /** Distinct addresses. */
  readonly callers: number
  /** Distinct sticky keys among those whose digest was kept. */
  readonly keys: number
}

export interface ConsequenceSummary extends Touched {
  /** Whose list in `on_failure` it stands in: `timeout`, `breaker_open` … */
  readonly because: string
  /** As declared; `fail`: the error was passed on. */
  readonly consequence: string
}

/** All outcomes of one name and unit that are known by now for decisions of the range, the last for each decision. */
export interface OutcomeSummary {
  readonly name: string
  readonly unit: string
  readonly isMoney: boolean
  readonly versions: readonly {
    readonly version: string
    readonly total: number
    readonly mean: Estimate | null
    readonly decisions: number
    readonly withOutcome: number
    readonly totalOverTime: readonly number[]
  }[]
}

export interface Moment {
  readonly at: string
  readonly sequence: number | null
  readonly kind: string
  readonly words: string
  /** Number of the change that it is, else null. */
  readonly change: number | null
}

export interface Completeness {
  readonly gaps: readonly Gap[]
  readonly lost: number
  readonly recoveries: readonly Recovery[]
  readonly runs: readonly RunOfGateway[]
  readonly unknownCrash: number
  readonly prunes: readonly {
    readonly at: string
    readonly sequence: number | null
    readonly by: string
    readonly records: number
    readonly through: number
    readonly cause: string
  }[]
  /** Time of the oldest record that there is. */
  readonly logBegins: string | null
  /** The range begins before it, and records were deleted. */
  readonly isBeginningMissing: boolean
  /** Records of the range that had no place in the tree yet. */
  readonly unsequenced: number
  /** What all this means for the numbers, in sentences. */
  readonly meaning: readonly string[]
}

export interface Gap {
  readonly since: string
  readonly until: string
  readonly sequence: number | null
  readonly lane: number
  readonly records: number
  readonly cause: string
}

export interface Recovery {
  readonly at: string
  readonly sequence: number | null
  readonly replayed: number
  readonly digestsLost: number
  readonly missing: number
  readonly tornBytes: number
  readonly torn: readonly string[]
}

/** `end`: `stop`: in order; `none`: the next run began without one; `open`: nothing followed. */
export interface RunOfGateway {
  readonly from: string
  readonly to: string | null
  readonly end: 'stop' | 'none' | 'open'
  readonly version: string
  readonly cause: string
}

export interface Evidence {
  readonly origin: string
  readonly checkpoint: CheckpointSeen | null
  /** Why there is none, or why it is not to be believed; else empty. */
  readonly problem: string
  /** Lowest and highest sequence among the records that this report was made of. */
  readonly sequences: { readonly first: number; readonly last: number; readonly records: number } | null
  /** Records of the range behind the checkpoint: signed by a later one. */
  readonly isCovered: boolean
  /** C2SP tlog-proofs, line by line. */
  readonly proofs: readonly { readonly sequence: number; readonly lines: readonly string[] }[]
  readonly commands: readonly string[]
}

export interface CheckpointSeen {
  readonly size: number
  /** Base64. */
  readonly root: string
  /** Last change of the file. */
  readonly at: string
  readonly signedBy: readonly string[]
}
