/**
 * What stands out, in sentences: the answer to "why, and what was done?" before any table. Every sentence repeats
 * numbers that the report has elsewhere; nothing is guessed, and a change is never called the cause of what followed it.
 */
import type { Comparison, Difference, Finding, OutcomeSummary, Pair, Report } from './report.ts'
import { amount, count, counted, estimated, lasted, milliseconds, minute, percent } from './words.ts'

export type Told = Omit<Report, 'glance'>

type Effect = Omit<Finding, 'details'>

const ORDER: readonly Finding['weight'][] = ['bad', 'notable', 'good']
/** Smaller differences are certain where there are many requests, but not worth a sentence. */
const POINTS_MIN = 0.002
const RATIO_MIN = 1.5

export function findingsOf(report: Told): Finding[] {
  const findings: Finding[] = [
    ...moneyFindings(report).map(plain),
    ...changeFindings(report),
    ...approvalFindings(report).map(plain),
    ...breakerFindings(report).map(plain),
    ...consequenceFindings(report).map(plain),
    ...lossFindings(report).map(plain),
  ]
  if (findings.length === 0) return [{ weight: 'good', words: 'Nothing stands out.', details: [] }]
  return findings.sort((a, b) => ORDER.indexOf(a.weight) - ORDER.indexOf(b.weight))
}

function plain(effect: Effect): Finding {
  return { ...effect, details: [] }
}

function moneyFindings({ outcomes, traffic }: Told): Effect[] {
  return outcomes
    .filter(({ isMoney }) => isMoney)
    .flatMap((outcome) =>
      outcome.versions
        .filter(({ total }) => total < 0)
        .map(({ version, total, withOutcome, decisions, totalOverTime }) => ({
          weight: 'bad' as const,
          words: `${named(version)} lost money: ${amount(total, outcome.unit)} of ${outcome.name} over ${counted(decisions, 'answer')}, ${count(withOutcome)} of them with a known outcome${othersWords(outcome, version)}. ${worstWords(totalOverTime, outcome.unit, traffic.slots)}`,
        })),
    )
}

function othersWords({ versions, unit }: OutcomeSummary, version: string): string {
  const told = versions
    .filter((one) => one.version !== version && one.total >= 0)
    .map((one) => `${named(one.version)} made ${amount(one.total, unit)}`)
  return told.length === 0 ? '' : `; ${told.join(', ')}`
}

/** The shortest stretch from the first to the last slot that lost more than a tenth of the worst one. */
function worstWords(totals: readonly number[], unit: string, slots: readonly string[]): string {
  const worst = Math.min(...totals)
  const bad = totals.flatMap((total, slot) => (total < worst / 10 ? [slot] : []))
  const [first, last] = [bad[0]!, bad.at(-1)!]
  const sum = totals.slice(first, last + 1).reduce((one, other) => one + other, 0)
  const end = slots[last + 1]
  const until = end === undefined ? 'to the end' : `to ${minute(end)}`
  return `${amount(sum, unit)} of it from ${minute(slots[first]!)} ${until}.`
}

function changeFindings({ changes }: Told): Finding[] {
  return changes.flatMap(({ number, at, words, comparison }) => {
    if (comparison === null) return []
    const { versions, beside } = comparison
    const effects = [
      ...versions.flatMap(shareEffect),
      ...versions.flatMap(ownEffects),
      ...beside.flatMap(besideEffects),
    ]
    if (effects.length === 0) return []
    const weight = ORDER.find((one) => effects.some((effect) => effect.weight === one))!
    const details = effects.map((effect) => effect.words)
    return [{ weight, words: `After change ${number} (${minute(at)}, ${words}):`, details }]
  })
}

function shareEffect({ version, share }: Comparison['versions'][number]): Effect[] {
  if (!isClear(share) || !isFar(share)) return []
  return [{ weight: 'notable', words: `${named(version)} answered ${fromTo(share, percent, 'before')}` }]
}

function ownEffects({ version, ...difference }: Comparison['versions'][number]): Effect[] {
  return effectsOf(version, difference, 'before')
}

/** Only what is worse: that another version is better is the same said twice. */
function besideEffects({ version, against, ...difference }: Comparison['beside'][number]): Effect[] {
  return effectsOf(version, difference, `${named(against)} in the same time`).filter(
    ({ weight }) => weight !== 'good',
  )
}

function effectsOf(version: string, { troubleRate, p99Ms, outcomes }: Difference, other: string): Effect[] {
  const name = named(version)
  const effects: Effect[] = []
  if (isClear(troubleRate) && isFar(troubleRate)) {
    const words = `of what was meant for ${name}, an error or a stand-in came for ${fromTo(troubleRate, percent, other)}`
    effects.push({ weight: troubleRate.verdict === 'higher' ? 'bad' : 'good', words })
  }
  if (isClear(p99Ms) && isManifold(p99Ms)) {
    const words = `p99 of ${name} was ${fromTo(p99Ms, milliseconds, other)}`
    effects.push({ weight: p99Ms.verdict === 'higher' ? 'notable' : 'good', words })
  }
  for (const outcome of outcomes) {
    if (!isClear(outcome)) continue
    const write = (value: number) => amount(value, outcome.unit)
    const words = `mean ${outcome.name} of ${name} was ${fromTo(outcome, write, other)}`
    effects.push({ weight: outcome.verdict === 'lower' ? 'bad' : 'good', words })
  }
  return effects
}

function approvalFindings({ changes, approvals }: Told): Effect[] {
  const wanting = changes.filter(({ kind, approval }) => kind === 'config' && approval !== 'approved')
  if (wanting.length > 1 && approvals.length === 0) {
    const words = `No approval is on record for any of the ${count(wanting.length)} changes of the configuration.`
    return [{ weight: 'notable', words }]
  }
  return wanting.map(({ number, at, config, approvalWords }) => ({
    weight: config?.previous === '' || approvals.length === 0 ? 'notable' : 'bad',
    words: `Change ${number} (${minute(at)}): ${approvalWords}.`,
  }))
}

function breakerFindings({ actions }: Told): Effect[] {
  return actions.breakers.map(({ version, openings, notClosedMs, spells, isEnforced }) => {
    const times = openings === 1 ? 'once' : `${count(openings)} times`
    const how = isEnforced ? '' : ' (it only reported; nothing was refused)'
    const spell = spells.find(({ from }) => from !== null) ?? spells[0]!
    const when = spell.from === null ? 'before the range' : minute(spell.from)
    const words = `The breaker of ${named(version)} opened ${times} and was not closed for ${lasted(notClosedMs)} in all${how}; first at ${when}: ${spell.cause}.`
    return { weight: 'notable', words }
  })
}

function consequenceFindings({ actions }: Told): Effect[] {
  const { consequences, touched } = actions
  if (consequences.length === 0) return []
  const told = consequences
    .slice(0, 3)
    .map(({ consequence, because, requests }) => `${consequence} for ${count(requests)}${becauseOf(because)}`)
  const more = consequences.length > 3 ? ` and ${consequences.length - 3} more` : ''
  const words = `Declared consequences touched ${counted(touched.requests, 'request')} of ${counted(touched.callers, 'caller')}: ${told.join(', ')}${more}.`
  return [{ weight: 'notable', words }]
}

function becauseOf(because: string): string {
  return because === '' ? '' : ` (${because})`
}

function lossFindings({ completeness }: Told): Effect[] {
  const { lost, recoveries, runs, isBeginningMissing } = completeness
  const missing = recoveries.reduce((sum, one) => sum + one.missing, 0)
  const crashes = runs.filter(({ end }) => end === 'none').length
  const parts = [
    ...(lost + missing > 0 ? [`${counted(lost + missing, 'record')} of any model missing`] : []),
    ...(crashes > 0 ? [`${counted(crashes, 'crash').replace('crashs', 'crashes')}`] : []),
    ...(isBeginningMissing ? ['the beginning deleted'] : []),
  ]
  if (parts.length === 0) return []
  return [
    {
      weight: 'notable',
      words: `The log itself has holes: ${parts.join(', ')}. What that means is told below.`,
    },
  ]
}

/** Names can be anything; as a word of a sentence an empty one needs another. */
export function named(version: string): string {
  return version === '' ? 'no version' : version
}

function isClear({ verdict }: Pair): boolean {
  return verdict === 'higher' || verdict === 'lower'
}

function isFar(pair: Pair): boolean {
  return Math.abs(after(pair) - before(pair)) >= POINTS_MIN
}

function isManifold(pair: Pair): boolean {
  const [one, two] = [before(pair), after(pair)]
  return Math.max(one, two) >= RATIO_MIN * Math.min(one, two)
}

function before(pair: Pair): number {
  return pair.before?.value ?? 0
}

function after(pair: Pair): number {
  return pair.after?.value ?? 0
}

function fromTo(pair: Pair, write: (value: number) => string, other: string): string {
  return `${estimated(pair.after, write)}, ${other} ${estimated(pair.before, write)}`
}
