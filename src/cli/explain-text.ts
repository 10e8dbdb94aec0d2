/**
 * Tells a decision the way a person would: who asked for what, which version was chosen and why the others were
 * not, what happened at each try, what the caller got, what its shadows said, and where the evidence lies.
 * Words only; the data itself is `--json`.
 */
import type { DigestRecord, RecordPlace } from '../audit/decode.ts'
import type { DecisionFound, ShadowFound, Story } from '../audit/find.ts'
import type { AttemptRecord } from '../audit/records/attempt-row.ts'
import type { DecisionRecord, PlanRecord } from '../audit/records/decision-record.ts'
import { FAULTS, type FaultCode } from '../domain/fault.ts'
import type { BreakerName, Passed, Reason, ShadowFate } from '../domain/plan.ts'

type Section = readonly [title: string, ...lines: string[]]

export function tellStory(story: Story): string {
  const sections: Section[] = []
  if (story.decision === null)
    sections.push(['Decision', 'its record is not in this log; only what followed it is'])
  else sections.push(...decisionSections(story.decision))
  if (story.shadows.length > 0) sections.push(['Shadows', ...story.shadows.flatMap(shadowLines)])
  sections.push(placesOf(story))
  const body = sections.map(([title, ...lines]) => [title, ...lines.map((line) => `  ${line}`)].join('\n'))
  return `Request ${story.id}\n\n${body.join('\n\n')}\n`
}

function decisionSections({ decision, digests }: DecisionFound): Section[] {
  const sections: Section[] = [
    ['When', `${timeOf(decision.receivedAt)}, and it took ${msOf(decision.durationMs)}`],
    ['Asked', ...askedLines(decision)],
  ]
  if (decision.plan !== null) sections.push(['Chosen', ...chosenLines(decision, decision.plan)])
  if (decision.plan !== null) sections.push(['Not chosen', ...passedLines(decision.plan)])
  sections.push(['Tried', ...triedLines(decision)])
  sections.push(['Answered', ...answeredLines(decision)])
  if (decision.plan !== null && decision.plan.shadows.length > 0) {
    sections.push([
      'Shadows planned',
      ...decision.plan.shadows.map(({ version, fate }) => `${version}: ${FATE_WORDS[fate] ?? fate}`),
    ])
  }
  sections.push(['Configuration', `generation ${decision.generation}, hash ${decision.configHash}`])
  sections.push(['Digests', ...digestLines(digests)])
  return sections
}

function askedLines(decision: DecisionRecord): string[] {
  const { client, request } = decision
  const agent = client.userAgent === '' ? '' : ` (${client.userAgent})`
  const body =
    request.bodyBytes === 0
      ? 'no body'
      : `${bytesOf(request.bodyBytes)} of ${request.contentType || 'an unnamed type'}`
  const lines = [
    `${client.address || 'an unknown address'}${agent} sent ${request.method} ${request.path} with ${body}`,
  ]
  if (decision.model === '') lines.push('it was refused before it was clear which model was meant')
  else
    lines.push(
      `that is: ${decision.operation || 'a question'} to model ${decision.model}, spoken in ${decision.protocol}`,
    )
  if (decision.pin !== '') lines.push(`the caller asked for version ${decision.pin}`)
  if (decision.isShadow) lines.push('the request was itself the shadow of another gateway’s')
  if (decision.traceId !== '') lines.push(`trace ${decision.traceId}`)
  return lines
}

const REASON_WORDS: Readonly<Record<Reason, string>> = {
  rule: 'a routing rule matched',
  pin: 'the caller asked for it',
  experiment: 'the experiment assigned it',
  canary: 'the key fell inside the canary’s share',
  primary: 'it is the primary version',
  fallback: 'it is the declared consequence of a failure',
}

function chosenLines(decision: DecisionRecord, plan: PlanRecord): string[] {
  const lines = [`version ${plan.version}, because ${REASON_WORDS[plan.reason] ?? plan.reason}`]
  if (plan.experiment !== '') lines.push(`experiment ${plan.experiment}, arm ${plan.assigned}`)
  else if (plan.assigned !== plan.version) lines.push(`by its key alone it would have been ${plan.assigned}`)
  if (decision.keySource !== '') {
    const point =
      plan.point < 0 ? 'no percentage was asked' : `its point in [0, 1) is ${plan.point.toFixed(6)}`
    lines.push(`sticky key from ${decision.keySource}; ${point}`)
  }
  const own = plan.candidates.find(({ version }) => version === plan.version)
  if (own !== undefined) lines.push(BREAKER_WORDS[own.breaker] ?? `its breaker: ${own.breaker}`)
  return lines
}

const BREAKER_WORDS: Readonly<Record<BreakerName, string>> = {
  closed: 'its breaker was closed (letting traffic through)',
  open: 'its breaker was open (refusing traffic)',
  'half-open': 'its breaker was half-open (letting probes through)',
}

const PASSED_WORDS: Readonly<Record<Passed, string>> = {
  chosen: 'chosen',
  'rule-did-not-match': 'its rule did not match this request',
  'not-pinned': 'the caller did not ask for it',
  'other-arm': 'the key belongs to another arm of the experiment',
  'outside-percent': 'the key fell outside its share of the traffic',
  'lower-precedence': 'something of higher precedence decided first',
  'only-on-failure': 'it serves only when another fails',
  'shadow-only': 'it gets copies only',
  'not-routed': 'no route leads to it',
}

function passedLines(plan: PlanRecord): string[] {
  const others = plan.candidates.filter(({ passed }) => passed !== 'chosen')
  if (others.length === 0) return ['there was no other version']
  return others.map(
    ({ version, passed, breaker }) => `${version}: ${PASSED_WORDS[passed] ?? passed}; breaker ${breaker}`,
  )
}

const FATE_WORDS: Readonly<Record<ShadowFate, string>> = {
  planned: 'a copy was sent',
  sampled_out: 'no copy: outside the share that is copied',
  not_idempotent: 'no copy: repeating this request could do harm',
  is_shadow: 'no copy: the request was itself a shadow',
  served_version: 'no copy: it is the version that served',
}

function triedLines({ attempts }: DecisionRecord): string[] {
  if (attempts.length === 0) return ['nothing: no version was asked']
  return attempts.map(
    (attempt, index) => `${index + 1}. after ${msOf(attempt.afterMs)}: ${attemptLine(attempt)}`,
  )
}

function attemptLine(attempt: AttemptRecord): string {
  const { version, role, endpoint, reused } = attempt
  if (attempt.faultCode === 'breaker-open') return `${version} as ${role} not asked: its breaker refused`
  const connection =
    endpoint === 'pool' ? 'the local scoring pool' : `${endpoint}${reused ? ', kept-alive connection' : ''}`
  const outcome =
    attempt.faultCode === ''
      ? `${attempt.status}, ${bytesOf(attempt.answerBytes)}`
      : faultLine(attempt.faultCode, attempt.faultDetail)
  return `${version} as ${role} at ${connection} → ${outcome} (${phasesLine(attempt)}); counted as ${attempt.verdict}`
}

function phasesLine({ queueMs, connectMs, firstByteMs, totalMs }: AttemptRecord): string {
  const phases: [string, number][] = [
    ['queue', queueMs],
    ['connect', connectMs],
    ['first byte', firstByteMs],
    ['total', totalMs],
  ]
  return (
    phases
      .filter(([, ms]) => ms >= 0)
      .map(([name, ms]) => `${name} ${msOf(ms)}`)
      .join(', ') || 'no phase was reached'
  )
}

function faultLine(code: string, detail: string): string {
  const meaning = Object.hasOwn(FAULTS, code) ? FAULTS[code as FaultCode].meaning : ''
  return [code, meaning, detail].filter((part) => part !== '').join(': ')
}

function answeredLines({ status, served, reason, degraded, fault, answer }: DecisionRecord): string[] {
  const body =
    answer === null ? '' : `, ${bytesOf(answer.bodyBytes)} of ${answer.contentType || 'an unnamed type'}`
  const who =
    served === '' ? 'by the gateway itself' : `by version ${served}${reason === '' ? '' : ` (${reason})`}`
  const lines = [
    answer === null ? `nothing was sent; the story ended with ${status}` : `${status} ${who}${body}`,
  ]
  if (degraded !== '')
    lines.push(`the declared consequence ${degraded} answered in place of the chosen version`)
  if (fault !== null) lines.push(`because of ${faultLine(fault.code, fault.detail || fault.message)}`)
  return lines
}

const SHADOW_WORDS = {
  answered: 'answered',
  failed: 'failed',
  cap: 'was not sent: too many copies were under way',
  overload: 'was not sent: the scoring pool was full',
  timeout: 'did not answer in time',
  too_large: 'gave an answer larger than what is kept of a shadow’s',
} as const

const AGREEMENT_WORDS = {
  agree: 'it agreed with the answer that was served',
  differ: 'it differed from the answer that was served',
  incomparable: 'the answers could not be compared',
  'not-compared': 'it was not compared',
} as const

function shadowLines({ shadow }: ShadowFound): string[] {
  const { version, fate, agreement, differences, attempt } = shadow
  const numbers = differences.map((difference) => difference ?? 'none')
  const by = numbers.length === 0 ? '' : ` (differences: ${numbers.join(', ')})`
  const lines = [`${version} ${SHADOW_WORDS[fate] ?? fate}; ${AGREEMENT_WORDS[agreement] ?? agreement}${by}`]
  if (attempt !== null) lines.push(`  ${attemptLine(attempt)}`)
  return lines
}

const NO_DIGEST_WORDS = new Map([
  ['absent', 'there was nothing to digest'],
  ['ring-full', 'lost: the writer was too far behind'],
  ['too-large', 'lost: too large to hand over'],
  ['crash', 'lost: the process died before it was computed'],
  ['pending', 'not computed yet'],
])

function digestLines(digests: DigestRecord): string[] {
  const entries = [
    ['sticky key', digests.key],
    ['request body', digests.request],
    ['answer body', digests.answer],
  ] as const
  return entries.map(
    ([name, digest]) => `${name}: ${NO_DIGEST_WORDS.get(digest) ?? `HMAC-SHA-256 ${digest}`}`,
  )
}

function placesOf({ decision, shadows }: Story): Section {
  const records = decision === null ? shadows : [decision, ...shadows]
  return ['In the log', ...records.map(({ type, place }) => `${type}: ${placeLine(place)}`)]
}

function placeLine({ file, at, sequence }: RecordPlace): string {
  return sequence === 0
    ? `${file}, byte ${at}, not sequenced yet`
    : `record ${sequence} in ${file}, byte ${at}`
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').replace('Z', ' UTC')
}

function msOf(ms: number): string {
  return ms < 1 ? `${Math.round(ms * 1000)} µs` : `${ms.toFixed(ms < 100 ? 2 : 0)} ms`
}

function bytesOf(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}
