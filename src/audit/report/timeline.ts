/** Everything that happened beside the requests themselves, in the order of time, each in one sentence. */
import type { BareChange } from './changes.ts'
import type { EventFact, Facts } from './facts.ts'
import { isoOf, listOf, numberOf, textOf } from './field.ts'
import type { Moment } from './report.ts'
import { minute, shortHash } from './words.ts'

/** A breaker that flaps for a week must not bury the report. */
export const MOMENTS_MAX = 400

type Words = (event: EventFact) => string

const WORDS = new Map<string, Words>([
  ['breaker', breakerWords],
  ['endpoint', endpointWords],
  ['approval', approvalWords],
  ['gap', gapWords],
  ['recovery', recoveryWords],
  ['start', ({ details }) => `the gateway began (version ${textOf(details, 'version')})`],
  ['stop', ({ details }) => `the gateway stopped in order: ${textOf(details, 'cause')}`],
  [
    'prune',
    ({ details }) =>
      `${numberOf(details, 'records')} old records were deleted by ${textOf(details, 'by')}: ${textOf(details, 'cause')}`,
  ],
  [
    'lane',
    ({ details }) =>
      `lane ${numberOf(details, 'lane')} was replaced after an error: ${textOf(details, 'cause')}`,
  ],
  ['pressure', pressureWords],
  ['note', ({ details }) => `${textOf(details, 'by')} noted: ${textOf(details, 'words')}`],
  ['hold', holdWords],
  ['erase', ({ details }) => `${textOf(details, 'by')} destroyed a subject’s key`],
  [
    'key',
    ({ details }) =>
      textOf(details, 'from') === ''
        ? 'the key that signs the log is on record'
        : 'the log is signed by another key from here on',
  ],
])

export function timelineOf(
  { events, range }: Pick<Facts, 'events' | 'range'>,
  changes: readonly BareChange[],
): { readonly moments: readonly Moment[]; readonly leftOut: number } {
  const numbers = new Map(changes.map((change) => [`${change.kind} ${change.at} ${change.sequence}`, change]))
  const moments = events.flatMap((event): Moment[] => {
    if (event.at < range.from || event.at >= range.to) return []
    const { type: kind, sequence } = event
    const at = isoOf(event.at)
    const change = numbers.get(`${kind} ${at} ${sequence}`)
    if (change !== undefined) return [{ at, sequence, kind, words: change.words, change: change.number }]
    const words = kind === 'config' ? sameConfig(event) : WORDS.get(kind)?.(event)
    return words === undefined ? [] : [{ at, sequence, kind, words, change: null }]
  })
  return { moments: fewest(moments), leftOut: Math.max(0, moments.length - MOMENTS_MAX) }
}

/** What repeats by itself gives way first: changes, approvals and losses are always told. */
function fewest(moments: readonly Moment[]): Moment[] {
  if (moments.length <= MOMENTS_MAX) return [...moments]
  const repeats = new Set(['breaker', 'endpoint', 'pressure'])
  const rare = moments.filter(({ kind }) => !repeats.has(kind)).length
  let room = Math.max(0, MOMENTS_MAX - rare)
  const kept = moments.filter(({ kind }) => {
    if (!repeats.has(kind)) return true
    room -= 1
    return room >= 0
  })
  return kept.slice(0, MOMENTS_MAX)
}

function sameConfig({ details }: EventFact): string {
  return `the same configuration ${shortHash(textOf(details, 'hash'))} came into force again (a restart)`
}

function breakerWords({ version, details }: EventFact): string {
  const to = textOf(details, 'to')
  const state = to === 'open' ? 'opened' : to === 'closed' ? 'closed' : 'lets probes through'
  const how = details.enforced === false ? ' (only reported, not enforced)' : ''
  return `breaker of ${version} ${state}${how}: ${textOf(details, 'cause')}`
}

function endpointWords({ version, details }: EventFact): string {
  const what = details.out === true ? 'is passed over' : 'is used again'
  return `endpoint ${textOf(details, 'endpoint')} of ${version} ${what}: ${textOf(details, 'cause')}`
}

function approvalWords({ details }: EventFact): string {
  const did = details.isApproved === true ? 'approved' : 'rejected'
  const said = textOf(details, 'words')
  const what = `change ${textOf(details, 'change')} (to configuration ${shortHash(textOf(details, 'result'))})`
  return `${textOf(details, 'by')} ${did} ${what}${said === '' ? '' : `: “${said}”`}`
}

function gapWords({ details }: EventFact): string {
  const records = numberOf(details, 'records')
  return `${records} ${records === 1 ? 'record' : 'records'} could not be written since ${minute(isoOf(numberOf(details, 'since')))}: ${textOf(details, 'cause')}`
}

function recoveryWords({ details }: EventFact): string {
  const torn = listOf(details, 'torn').length
  const damage = torn === 0 ? '' : `, ${torn} damaged ${torn === 1 ? 'stretch' : 'stretches'} put aside`
  return `the log was recovered after a crash: ${numberOf(details, 'replayed')} records replayed, ${numberOf(details, 'missing')} missing${damage}`
}

function pressureWords({ details }: EventFact): string {
  return `lane ${numberOf(details, 'lane')} went from pressure ${numberOf(details, 'from')} to ${numberOf(details, 'to')}: ${textOf(details, 'cause')}`
}

function holdWords({ details }: EventFact): string {
  const did = details.isOn === true ? 'forbade' : 'allowed'
  return `${textOf(details, 'by')} ${did} the deletion of records: ${textOf(details, 'words')}`
}
