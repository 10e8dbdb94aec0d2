/**
 * What was changed, and who approved it. A change is a configuration that came into force and is another one than
 * before (a restart with the same is none), or a step of a rollout. Approvals name the configuration's hash.
 */
import type { EventFact, Range } from './facts.ts'
import { isoOf, numberOf, textOf } from './field.ts'
import type { Approval, ApprovalState, Change, ConfigInForce } from './report.ts'
import { minute, shortHash } from './words.ts'

export type BareChange = Omit<Change, 'comparison'>

/** Changes that are compared, before and after: the first ones of the range. */
export const CUTS_MAX = 24

/** In the order in which they came; `events` is. */
export function changesOf(events: readonly EventFact[], range: Range): BareChange[] {
  const approvals = events.filter(({ type }) => type === 'approval')
  const changes: BareChange[] = []
  /** When each configuration came into force last. */
  const seen = new Map<string, number>()
  let inForce = ''
  for (const event of events) {
    const isWithin = event.at >= range.from && event.at < range.to
    if (event.type === 'rollout' && isWithin) changes.push(rolloutChange(event, changes.length + 1))
    if (event.type !== 'config') continue
    const hash = textOf(event.details, 'hash')
    if (hash !== inForce && isWithin) {
      const config = configOf(event, inForce, seen.has(hash))
      const fresh = approvals.filter(({ at }) => at > (seen.get(hash) ?? Number.NEGATIVE_INFINITY))
      changes.push(configChange(event, config, { number: changes.length + 1, approvals: fresh }))
    }
    seen.set(hash, event.at)
    inForce = hash
  }
  return changes
}

/** Moments that cut the range into periods: those of the first changes, each once. */
export function cutsOf(changes: readonly { readonly at: string }[]): number[] {
  return [...new Set(changes.map(({ at }) => Date.parse(at)))].slice(0, CUTS_MAX)
}

/** Those of the range, and those that speak of one of its changes. */
export function approvalsOf(
  events: readonly EventFact[],
  changes: readonly BareChange[],
  range: Range,
): Approval[] {
  return events.flatMap((event) => {
    if (event.type !== 'approval') return []
    const result = textOf(event.details, 'result')
    const of = changes.find(({ config }) => config !== null && config.hash === result)?.number ?? null
    if (of === null && (event.at < range.from || event.at >= range.to)) return []
    return [{ ...approvalOf(event), of }]
  })
}

function approvalOf({ at, sequence, details }: EventFact): Omit<Approval, 'of'> {
  return {
    at: isoOf(at),
    sequence,
    change: textOf(details, 'change'),
    by: textOf(details, 'by'),
    isApproved: details.isApproved === true,
    words: textOf(details, 'words'),
    base: textOf(details, 'base'),
    result: textOf(details, 'result'),
  }
}

function configOf({ details }: EventFact, previous: string, isReturn: boolean): ConfigInForce {
  return {
    hash: textOf(details, 'hash'),
    generation: numberOf(details, 'generation'),
    file: textOf(details, 'file'),
    previous,
    isReturn,
  }
}

interface Beside {
  readonly number: number
  /** Those that were not used up when the same configuration came into force before. */
  readonly approvals: readonly EventFact[]
}

function configChange(event: EventFact, config: ConfigInForce, { number, approvals }: Beside): BareChange {
  const about = approvals.filter(({ details }) => textOf(details, 'result') === config.hash)
  const [approval, approvalWords] = judged(event, config, about)
  const file = config.file === '' ? '' : ` (${config.file.split('/').at(-1)})`
  const came = config.previous === '' ? 'is the first on record' : 'came into force'
  const again = config.isReturn ? '; it had been in force before' : ''
  return {
    number,
    at: isoOf(event.at),
    sequence: event.sequence,
    kind: 'config',
    words: `configuration ${shortHash(config.hash)}${file} ${came}${again}`,
    config,
    by: '',
    approval,
    approvalWords,
  }
}

function judged(
  { at }: EventFact,
  config: ConfigInForce,
  about: readonly EventFact[],
): [state: ApprovalState, words: string] {
  const approved = about.filter(({ details }) => details.isApproved === true)
  const inTime = approved.filter((one) => one.at <= at)
  const fitting = inTime.find(({ details }) => isBase(textOf(details, 'base'), config.previous))
  if (fitting !== undefined) return ['approved', `approved by ${whoAndWhen(fitting)}`]
  const other = inTime.at(-1)
  if (other !== undefined) {
    const base = shortHash(textOf(other.details, 'base'))
    return [
      'other-base',
      `approved by ${whoAndWhen(other)}, but as a change of ${base}, which was not in force`,
    ]
  }
  const late = approved[0]
  if (late !== undefined) return ['late', `approved only afterwards, by ${whoAndWhen(late)}`]
  const rejected = about.at(-1)
  if (rejected !== undefined) {
    return ['rejected', `no approval is on record; it was rejected by ${whoAndWhen(rejected)}`]
  }
  return ['none', config.isReturn ? 'no approval of the way back is on record' : 'no approval is on record']
}

function isBase(base: string, previous: string): boolean {
  return base === '' || previous === '' || base === previous
}

function whoAndWhen({ at, details }: EventFact): string {
  const change = textOf(details, 'change')
  const words = textOf(details, 'words')
  const said = words === '' ? '' : `: “${words}”`
  return `${textOf(details, 'by') || 'somebody unnamed'} on ${minute(isoOf(at))}${change === '' ? '' : ` (change ${change})`}${said}`
}

function rolloutChange({ at, sequence, version, details }: EventFact, number: number): BareChange {
  const by = textOf(details, 'by')
  const cause = textOf(details, 'cause')
  const step = textOf(details, 'step')
  const who = by === '' ? 'by itself' : `by ${by}`
  return {
    number,
    at: isoOf(at),
    sequence,
    kind: 'rollout',
    words: `rollout of ${version}: ${step}, ${numberOf(details, 'percent')} %, ${who}${cause === '' ? '' : `: ${cause}`}`,
    config: null,
    by,
    approval: by === '' ? 'not-needed' : 'none',
    approvalWords: by === '' ? 'the rollout acted by itself' : `done by ${by}; no approval is on record`,
  }
}
