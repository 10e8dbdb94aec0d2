/** From what the log answered to the report. A function of its arguments: the same facts give the same report. */
import { actionsOf } from './actions.ts'
import { approvalsOf, type BareChange, changesOf } from './changes.ts'
import { compared, type Side } from './comparisons.ts'
import { completenessOf } from './completeness.ts'
import type { Facts, Range } from './facts.ts'
import { isoOf } from './field.ts'
import { findingsOf, type Told } from './findings.ts'
import { outcomesOf } from './outcomes.ts'
import { type Change, type Evidence, type Glance, REPORT_FORMAT, type Report } from './report.ts'
import { Tally } from './tally.ts'
import { timelineOf } from './timeline.ts'
import { trafficOf } from './traffic.ts'

export function reportOf(facts: Facts, evidence: Evidence): Report {
  const { model, events, range, askedAt } = facts
  const tally = new Tally(facts)
  const bare = changesOf(events, range)
  const changes = bare.map((change) => ({ ...change, comparison: comparisonOf(change, facts, tally) }))
  const { moments, leftOut } = timelineOf(facts, bare)
  const heading = {
    format: REPORT_FORMAT,
    model,
    range: { from: isoOf(range.from), to: isoOf(range.to) },
    askedAt: isoOf(askedAt),
  } as const
  const body = {
    traffic: trafficOf(facts, tally),
    changes,
    changesNotCompared: changes.filter(({ comparison }) => comparison === null).length,
    approvals: approvalsOf(events, bare, range),
    actions: actionsOf(facts),
    outcomes: outcomesOf(facts, tally),
    timeline: moments,
    timelineLeftOut: leftOut,
    completeness: completenessOf(facts, tally),
    evidence,
  }
  return { ...heading, glance: glanceOf({ ...heading, ...body }, facts, tally), ...body }
}

/** Null for a change behind the last cut. */
function comparisonOf({ at }: BareChange, facts: Facts, tally: Tally): Change['comparison'] {
  const cut = facts.cuts.indexOf(Date.parse(at))
  return cut === -1 ? null : compared(sideOf(cut, facts, tally), sideOf(cut + 1, facts, tally))
}

function sideOf(period: number, { cuts, range, outcomes }: Facts, tally: Tally): Side {
  const span: Range = { from: cuts[period - 1] ?? range.from, to: cuts[period] ?? range.to }
  return {
    span,
    tally: tally.periods[period]!,
    outcomes: outcomes.filter((one) => one.period === period),
  }
}

function glanceOf(told: Told, { questions }: Facts, { counts, requests, kept }: Tally): Glance {
  return {
    requests,
    ...counts,
    answeredBy: told.traffic.versions
      .filter(({ answers }) => answers > 0)
      .map(({ version, answers, share }) => ({ version, requests: answers, share })),
    kept,
    questions,
    findings: requests === 0 ? [] : findingsOf(told),
  }
}
