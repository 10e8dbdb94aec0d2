/** What the log itself lacks, and what that means for every number of the report. */
import { UNKNOWN_CRASH } from './ending-class.ts'
import type { EventFact, Facts, Range } from './facts.ts'
import { isoOf, listOf, numberOf, textOf } from './field.ts'
import type { Completeness, Gap, Recovery, RunOfGateway } from './report.ts'
import type { Tally } from './tally.ts'
import { count, counted, minute, percent } from './words.ts'

type Found = Omit<Completeness, 'meaning'>

export function completenessOf(facts: Facts, tally: Tally): Completeness {
  const { events, range, oldestAt } = facts
  const of = (type: string) => events.filter((event) => event.type === type)
  const gaps = of('gap').flatMap((event) => gapOf(event, range))
  const prunes = of('prune').filter(({ at }) => at < facts.askedAt)
  const found: Found = {
    gaps,
    lost: gaps.reduce((sum, { records }) => sum + records, 0),
    recoveries: of('recovery')
      .filter(({ at }) => at >= range.from && at < range.to)
      .map(recoveryOf),
    runs: runsOf(events, range),
    unknownCrash: tally.endings.get(UNKNOWN_CRASH)?.requests ?? 0,
    prunes: prunes.map(({ at, sequence, details }) => ({
      at: isoOf(at),
      sequence,
      by: textOf(details, 'by'),
      records: numberOf(details, 'records'),
      through: numberOf(details, 'through'),
      cause: textOf(details, 'cause'),
    })),
    logBegins: oldestAt === null ? null : isoOf(oldestAt),
    isBeginningMissing: prunes.length > 0 && oldestAt !== null && oldestAt > range.from,
    unsequenced: facts.unsequenced,
  }
  return { ...found, meaning: meaningOf(found, facts, tally.requests) }
}

/** One that lies in the range, or reaches into it. */
function gapOf({ at, sequence, details }: EventFact, range: Range): Gap[] {
  const since = numberOf(details, 'since') || at
  if (at < range.from || since >= range.to) return []
  return [
    {
      since: isoOf(since),
      until: isoOf(at),
      sequence,
      lane: numberOf(details, 'lane'),
      records: numberOf(details, 'records'),
      cause: textOf(details, 'cause'),
    },
  ]
}

function recoveryOf({ at, sequence, details }: EventFact): Recovery {
  const torn = listOf(details, 'torn')
  return {
    at: isoOf(at),
    sequence,
    replayed: numberOf(details, 'replayed'),
    digestsLost: numberOf(details, 'digestsLost'),
    missing: numberOf(details, 'missing'),
    tornBytes: torn.reduce((sum, part) => sum + numberOf(part, 'bytes'), 0),
    torn: torn.map((part) => textOf(part, 'kept')),
  }
}

/** Runs that touch the range, each with how it ended. */
function runsOf(events: readonly EventFact[], range: Range): RunOfGateway[] {
  const turns = events.filter(({ type }) => type === 'start' || type === 'stop')
  return turns.flatMap((event, index): RunOfGateway[] => {
    if (event.type !== 'start') return []
    const next = turns[index + 1]
    if (event.at >= range.to || (next !== undefined && next.at < range.from)) return []
    const run = { from: isoOf(event.at), version: textOf(event.details, 'version') }
    if (next === undefined) return [{ ...run, to: null, end: 'open', cause: '' }]
    if (next.type === 'start') return [{ ...run, to: isoOf(next.at), end: 'none', cause: '' }]
    return [{ ...run, to: isoOf(next.at), end: 'stop', cause: textOf(next.details, 'cause') }]
  })
}

function meaningOf(found: Found, facts: Facts, requests: number): string[] {
  const { lost, recoveries, runs, isBeginningMissing } = found
  const missing = recoveries.reduce((sum, recovery) => sum + recovery.missing, 0)
  const torn = recoveries.reduce((sum, { tornBytes }) => sum + tornBytes, 0)
  const crashes = runs.filter(({ end }) => end === 'none').length
  const isWhole = lost + missing + torn + crashes === 0 && !isBeginningMissing
  return [
    ...(isWhole
      ? ['The log knows of no loss in this range: no gap, no crash, no damage, nothing deleted.']
      : []),
    ...lossSentences(found, missing, requests),
    ...(torn > 0
      ? [
          `${counted(torn, 'damaged byte')} were put aside as found (torn/). What they had held is not counted.`,
        ]
      : []),
    ...crashSentences(crashes, found.unknownCrash),
    ...stateSentences(found, facts),
  ]
}

function lossSentences({ gaps, lost }: Found, missing: number, requests: number): string[] {
  const sentences: string[] = []
  if (lost > 0) {
    const part = requests === 0 ? '' : ` (${percent(lost / (lost + requests))} of what this report counts)`
    sentences.push(
      `${counted(lost, 'record')} could not be written, told by ${counted(gaps.length, 'gap record')}, of whichever model. The counts here are too low by at most so many${part}.`,
    )
  }
  if (missing > 0) {
    sentences.push(
      `Recoveries after a crash found ${counted(missing, 'record')} missing that no gap record accounts for: the counts can be too low by so many more.`,
    )
  }
  return sentences
}

function crashSentences(crashes: number, unknown: number): string[] {
  if (crashes === 0) return []
  const runs = crashes === 1 ? 'One run of the gateway' : `${count(crashes)} runs of the gateway`
  return [
    `${runs} ended without a stop record: the process was killed or died. ${counted(unknown, 'request')} to this model had been under way and are counted as failed (${UNKNOWN_CRASH}): nobody knows what became of them.`,
  ]
}

function stateSentences(found: Found, { askedAt, range, isCutShort, oldestAt }: Facts): string[] {
  const sentences: string[] = []
  if (oldestAt !== null && oldestAt > range.from) {
    const why = found.isBeginningMissing
      ? 'what was before was deleted when its time was over'
      : 'it knows of nothing before'
    sentences.push(`The log begins at ${minute(isoOf(oldestAt))}: ${why}.`)
  }
  if (found.unsequenced > 0) {
    sentences.push(
      `${counted(found.unsequenced, 'record')} of the range had no place in the tree yet when the log was asked; a second later they can be proven.`,
    )
  }
  if (range.to > askedAt) {
    sentences.push(
      `The range was not over when the log was asked (${minute(isoOf(askedAt))}): numbers can still grow.`,
    )
  }
  if (isCutShort) {
    sentences.push(
      'There were more events than one report reads: actions are told up to the last that was read.',
    )
  }
  return sentences
}
