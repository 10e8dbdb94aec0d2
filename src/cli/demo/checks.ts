/** What must hold after the demo. One that does not makes it end with exit 1 and says what was found. */
import type { DurationStats } from './admin-client.ts'
import type { Evidence } from './evidence.ts'
import type { Check } from './report.ts'
import { FAILED, type Spell, TOO_SLOW } from './story.ts'
import { count, counted } from './table.ts'
import type { Tally } from './tally.ts'

export interface Holding {
  readonly sent: number
  readonly tally: Tally
  readonly evidence: Evidence
  readonly stats: readonly DurationStats[]
  readonly spells: readonly Spell[]
}

export function checksOf({ sent, tally, evidence, stats, spells }: Holding): Check[] {
  const { missing, twice, contradicted, lost, verdict, decisions, shadowRecords, shadowsPlanned } = evidence
  const counted = stats.filter(({ phase }) => phase === 'request').reduce((sum, one) => sum + one.count, 0)
  const recorded = tally.receipts.length - missing.length - twice.length - contradicted.length
  const bad = verdict.firstBad
  return [
    {
      claim: 'every caller got an answer',
      ok: tally.failed === 0 && tally.answers === sent,
      detail: `${count(tally.ok + tally.degraded)} of ${count(sent)}, ${statusesOf(tally)}`,
    },
    {
      claim: 'the gateway counted every request',
      ok: counted === sent,
      detail: `${count(counted)} in its histograms`,
    },
    {
      claim: 'every answer is in the log, once, with the same status, version and consequence',
      ok: recorded === sent,
      detail: `${count(recorded)} of ${count(sent)} found by their ids${firstOf(missing, twice, contradicted)}`,
    },
    {
      claim: 'no record is lost, damaged or beside the point',
      ok: lost === 0 && verdict.isWhole && verdict.tailBytes === 0 && decisions === sent,
      detail:
        bad === null
          ? `${count(lost)} lost, ${count(verdict.records)} verified, ${count(decisions)} decisions of this run`
          : `${bad.file}, byte ${bad.at}: ${bad.problem}`,
    },
    {
      claim: 'every shadow copy that was sent has its outcome',
      ok: shadowRecords === shadowsPlanned && shadowsPlanned > 0,
      detail: `${count(shadowRecords)} of ${count(shadowsPlanned)}`,
    },
    ...spells.flatMap(checksOfSpell),
  ]
}

function checksOfSpell({ name, opened, closed, degraded }: Spell): Check[] {
  const expected = name === 'slow' ? TOO_SLOW : FAILED
  return [
    {
      claim: `the breaker opened on the ${name} version`,
      ok: opened !== null && expected.test(opened.why),
      detail: opened?.why ?? 'it stayed closed',
    },
    {
      claim: `callers got the declared consequence while the version was ${name}`,
      ok: degraded > 0,
      detail: counted(degraded, 'caller'),
    },
    {
      claim: 'the breaker closed again',
      ok: closed !== null,
      detail: closed?.why ?? 'it did not',
    },
  ]
}

function statusesOf({ statuses }: Tally): string {
  return [...statuses].map(([status, times]) => `${count(times)} × ${status}`).join(', ')
}

function firstOf(...lists: readonly (readonly string[])[]): string {
  const first = lists.flat()[0]
  return first === undefined ? '' : `; see ${first}`
}
