/** Traffic and latency of each version over time, from what was added up. */
import { shareEstimate } from './comparisons.ts'
import { meaningOf } from './ending-class.ts'
import type { Facts, ShadowFact } from './facts.ts'
import { isoOf } from './field.ts'
import { Latencies } from './latencies.ts'
import type { ShadowTraffic, Traffic, VersionTraffic } from './report.ts'
import { type Tally, taken, type VersionCourse } from './tally.ts'

export function trafficOf({ slots, shadows, streams }: Facts, tally: Tally): Traffic {
  return {
    slotMs: slots.widthMs,
    slots: slots.starts.map(isoOf),
    versions: [...tally.versions]
      .map(([version, course]) => versionOf(version, course, tally.requests))
      .sort((a, b) => b.answers - a.answers || (a.version < b.version ? -1 : 1)),
    endings: [...tally.endings]
      .map(([outcome, { requests, overTime }]) => ({
        ...{ outcome, meaning: meaningOf(outcome), requests, overTime },
      }))
      .sort((a, b) => b.requests - a.requests || (a.outcome < b.outcome ? -1 : 1)),
    shadows: shadowsOf(shadows, slots.starts.length),
    streams,
  }
}

function versionOf(version: string, course: VersionCourse, requests: number): VersionTraffic {
  const { answers, meant, troubled, latencies, latenciesOverTime } = course
  const quantiles = (q: number) => latenciesOverTime.map((one) => one.quantile(q))
  return {
    version,
    answers,
    share: requests === 0 ? 0 : answers / requests,
    meant,
    troubled,
    troubleRate: shareEstimate({ hits: troubled, trials: meant }),
    durationMs: latencies.percentiles(),
    overTime: {
      answers: course.answersOverTime,
      meant: course.meantOverTime,
      troubled: course.troubledOverTime,
      p50Ms: quantiles(0.5),
      p95Ms: quantiles(0.95),
      p99Ms: quantiles(0.99),
    },
  }
}

class ShadowTally {
  copies = 0
  answered = 0
  agree = 0
  differ = 0
  readonly latencies = new Latencies()
  readonly compared: number[]
  readonly agreeing: number[]

  constructor(slots: number) {
    this.compared = new Array<number>(slots).fill(0)
    this.agreeing = new Array<number>(slots).fill(0)
  }
}

function shadowsOf(facts: readonly ShadowFact[], slots: number): ShadowTraffic[] {
  const tallies = new Map<string, ShadowTally>()
  for (const { slot, version, fate, agreement, bin, copies } of facts) {
    const tally = taken(tallies, version, () => new ShadowTally(slots))
    tally.copies += copies
    if (fate === 'answered') {
      tally.answered += copies
      tally.latencies.add(bin, copies)
    }
    if (agreement === 'agree') tally.agree += copies
    if (agreement === 'differ') tally.differ += copies
    if (agreement === 'agree') tally.agreeing[slot]! += copies
    if (agreement === 'agree' || agreement === 'differ') tally.compared[slot]! += copies
  }
  return [...tallies]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([version, { copies, answered, agree, differ, latencies, compared, agreeing }]) => ({
      ...{ version, copies, answered, agree, differ },
      agreement: shareEstimate({ hits: agree, trials: agree + differ }),
      durationMs: latencies.percentiles(),
      overTime: { compared, agree: agreeing },
    }))
}
