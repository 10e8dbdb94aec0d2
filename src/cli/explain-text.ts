/**
 * Tells a decision the way a person would: who asked for what, which version was chosen and why the others were
 * not, what happened at each try, what the caller got, how its stream ended, what its shadows said, and where the evidence lies.
 * Words only; the data itself is `--json`.
 */

import type { DigestRecord, RecordPlace } from '../audit/decode.ts'
import type { DecisionFound, ShadowFound, Story } from '../audit/find.ts'
import { UNKNOWN_CRASH } from '../audit/inflight/left-inflight.ts'
import { type DecisionRecord, isStreaming, type PlanRecord } from '../audit/records/decision-record.ts'
import type { StreamRecord } from '../audit/records/stream-record.ts'
import { FAULTS } from '../domain/fault.ts'
import type { BreakerName, Passed, Reason, ShadowFate } from '../domain/plan.ts'
import { captureLines } from './explain-capture.ts'
import { STILL_OPEN, streamLines } from './explain-stream.ts'
import { attemptLine, bodyOf, faultLine, keptLine, msOf, summaryLines, timeOf } from './explain-words.ts'

type Section = readonly [title: string, ...lines: string[]]

export function tellStory(story: Story): string {
  const sections: Section[] = []
  if (story.decision === null)
    sections.push(['Decision', 'its record is not in this log; only what followed it is'])
  else sections.push(...decisionSections(story.decision))
  if (story.stream !== null)
    sections.push([endingOf(story.stream.stream), ...streamLines(story.stream.stream)])
  else if (story.decision !== null && isStreaming(story.decision.decision))
    sections.push(['Streamed', STILL_OPEN])
  if (story.shadows.length > 0) sections.push(['Shadows', ...story.shadows.flatMap(shadowLines)])
  if (story.captures.length > 0) sections.push(['Captured', ...captureLines(story.captures)])
  sections.push(placesOf(story))
  const body = sections.map(([title, ...lines]) => [title, ...lines.map((line) => `  ${line}`)].join('\n'))
  return `Request ${story.id}\n\n${body.join('\n\n')}\n`
}

function decisionSections({ decision, digests }: DecisionFound): Section[] {
  if (decision.fault?.code === UNKNOWN_CRASH) return crashSections(decision)
  const sections: Section[] = [
    ['When', whenLine(decision)],
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

/** The process died before there was a record: little is known, and what is not must not look like nothing. */
function crashSections(decision: DecisionRecord): Section[] {
  const { receivedAt, model, generation, configHash } = decision
  const words = FAULTS[UNKNOWN_CRASH].meaning
  return [
    ['When', `${timeOf(receivedAt)}; how long it took is not known`],
    ['Asked', `something of model ${model}; by whom and what died with the process`],
    ['Tried', ...triedLines(decision), 'whether anything else was tried is not known'],
    ['Answered', `not known (${UNKNOWN_CRASH}): ${words}`],
    ['Configuration', `generation ${generation}, hash ${configHash || 'not known'}`],
  ]
}

function whenLine(decision: DecisionRecord): string {
  const took = isStreaming(decision) ? 'and its answer began after' : 'and it took'
  return `${timeOf(decision.receivedAt)}, ${took} ${msOf(decision.durationMs)}`
}

function askedLines(decision: DecisionRecord): string[] {
  const { client, request } = decision
  const agent = client.userAgent === '' ? '' : ` (${client.userAgent})`
  const body = request.bodyBytes === 0 ? 'no body' : bodyOf(request.bodyBytes, request.contentType)
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
  planned: 'a copy was to be sent',
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

function answeredLines(decision: DecisionRecord): string[] {
  const { status, served, reason, degraded, fault, answer } = decision
  const body = answer === null ? '' : `, ${bodyOf(answer.bodyBytes, answer.contentType)}`
  const who =
    served === '' ? 'by the gateway itself' : `by version ${served}${reason === '' ? '' : ` (${reason})`}`
  const lines = [
    answer === null ? `nothing was sent; the story ended with ${status}` : `${status} ${who}${body}`,
  ]
  if (degraded !== '')
    lines.push(`the declared consequence ${degraded} answered in place of the chosen version`)
  if (decision.kept !== null) lines.push(keptLine(decision.kept))
  if (fault !== null) lines.push(`because of ${faultLine(fault.code, fault.detail || fault.message)}`)
  return [...lines, ...summaryLines(decision.finishReason, decision.usage)]
}

const SHADOW_WORDS = {
  answered: 'answered',
  failed: 'failed',
  cap: 'was not sent: as many copies as may be were under way',
  overload:
    'was not sent: there was no room for the request itself or for the copy on the scoring pool, or the gateway was short of time or memory',
  timeout: 'did not answer in time',
  too_large: 'gave an answer larger than what is kept of a shadow’s',
  budget: 'was not sent: its copies lost too many connections lately, or those under way held too many bytes',
  not_asked: 'was not sent: no version was asked for the request itself',
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
  const isRequest = fate === 'too_large' && attempt === null
  const words = isRequest ? 'was not sent: the request is too long for a copy' : (SHADOW_WORDS[fate] ?? fate)
  const lines = [`${version} ${words}; ${AGREEMENT_WORDS[agreement] ?? agreement}${by}`]
  if (attempt !== null) lines.push(`  ${attemptLine(attempt)}`)
  return lines
}

const NO_DIGEST_WORDS = new Map([
  ['absent', 'there was nothing to digest'],
  ['ring-full', 'lost: the writer was too far behind'],
  ['too-large', 'none: larger than audit.digest_limit'],
  ['crash', 'lost: the process died before it was computed'],
  ['streamed', 'none: it was passed on as it came, and held nowhere'],
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

function endingOf({ fate }: StreamRecord): string {
  return fate === 'withheld' ? 'Withheld' : 'Streamed'
}

function placesOf({ decision, stream, shadows }: Story): Section {
  const records = [decision, stream, ...shadows].filter((record) => record !== null)
  return ['In the log', ...records.map(({ type, place }) => `${type}: ${placeLine(place)}`)]
}

function placeLine({ file, at, sequence }: RecordPlace): string {
  return sequence === null
    ? `${file}, byte ${at}, not sequenced yet`
    : `record ${sequence} in ${file}, byte ${at}`
}
