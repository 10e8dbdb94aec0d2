/**
 * The laws of the request side, for any bytes whatsoever:
 *
 * - What an endpoint gets is a request that the strict reader finds in the bytes sent, unchanged, at most once.
 * - The n-th answer is the answer to the n-th request. Where there is no n-th request, it is a refusal.
 * - A refusal where the framing is in doubt is the last thing on its connection, which the gateway ends.
 * - Each answer has a request id, unless it is one that the server gives in its own words.
 *   Such words may follow an answer that ends the connection: what came behind a refused request was read.
 * - A caller who waits its turn and writes plain HTTP is served; every connection ends when its caller leaves.
 */
import { expectedFingerprint } from './expected-forward.ts'
import type { ReadAnswer } from './read-answers.ts'
import type { Received } from './recording-endpoint.ts'
import type { Played } from './request-caller.ts'
import { type RequestCase, rulesFor } from './request-cases.ts'

export interface Told {
  readonly id: string
  readonly status: number
  /** Of the refusal; empty when the gateway did not refuse. */
  readonly code: string
  /** An answer of the gateway about itself leaves no record. */
  readonly isRecorded: boolean
}

export interface RequestVerdict {
  /** What became of the case, for the table. */
  readonly outcome: string
  /** Refused although the strict reader accepts it, and how. */
  readonly refused: readonly string[]
  readonly told: readonly Told[]
  /** Fingerprints that an endpoint may yet get; of the head where the body is not known. */
  readonly open: readonly string[]
  /** Which law it breaks; empty when it breaks none. */
  readonly broken: string
}

/** What the server says by itself; it ends the connection after it. */
const OWN_WORDS: ReadonlySet<number> = new Set([400, 431, 505])

const NOTHING = new Uint8Array(0)

export function judgeRequest(
  one: RequestCase,
  played: Played,
  received: readonly Received[],
): RequestVerdict {
  const { reading, answers } = played
  const refused: string[] = []
  const told: Told[] = []
  const open = reading.requests.flatMap((request) => expectedFingerprint(request) ?? [])
  let broken = ''
  const found = (law: string): void => {
    if (broken === '') broken = law
  }
  let lenient = lenientPrint(one, played)
  for (const { fingerprint, headFingerprint, line } of received) {
    const at = open.indexOf(fingerprint)
    if (at !== -1) open.splice(at, 1)
    else if (lenient === headFingerprint) lenient = null
    else found(`forwarded, but not in the bytes sent: ${line.split(' ')[0]}`)
  }
  for (const [index, answer] of answers.answers.entries()) {
    const law = judgeAnswerAt(index, answer, { one, played, received })
    if (law !== '') found(law)
    const id = answer.headers.get('modelgate-request-id')
    const code = answer.headers.get('modelgate-error') ?? ''
    const isEchoed = answer.headers.has('x-echo')
    if (id !== undefined) told.push({ id, status: answer.status, code, isRecorded: isEchoed || code !== '' })
    if (index < reading.requests.length && !isEchoed && code !== '')
      refused.push(`${code}: ${wordsOf(answer)}`)
  }
  const law = judgeEnd(one, played)
  if (law !== '') found(law)
  if (lenient !== null) open.push(lenient)
  return { outcome: outcomeOf(played), refused, told, open, broken }
}

/**
 * Where chunked bodies are accepted, the server reads chunks that the strict reader does not, and the gateway cannot
 * know. Such a request may be forwarded, once, as the last of its connection.
 */
function lenientPrint(one: RequestCase, { reading }: Played): string | null {
  if (!isLenient(one, reading) || reading.restHead === null) return null
  return expectedFingerprint({ ...reading.restHead, body: NOTHING })
}

function isLenient({ number }: RequestCase, { restHead }: Played['reading']): boolean {
  return rulesFor(number).chunkedAccepted && restHead !== null
}

interface Case {
  readonly one: RequestCase
  readonly played: Played
  readonly received: readonly Received[]
}

function judgeAnswerAt(index: number, answer: ReadAnswer, { one, played, received }: Case): string {
  const { status, headers } = answer
  const { reading, answers } = played
  const request = reading.requests[index]
  // Who says goodbye first cannot tell whether the gateway would have ended the connection.
  const goesOn = index < played.answeredInTime && !played.endedByGateway
  const isLast = answers.answers.slice(index + 1).every((next) => !next.headers.has('modelgate-request-id'))
  const id = headers.get('modelgate-request-id')
  const echo = headers.get('x-echo')
  const isRefusal = headers.has('modelgate-error')
  if (id === undefined) {
    if (!OWN_WORDS.has(status)) return `status ${status} without a request id`
    return isLast && !goesOn ? '' : 'the server’s own words, and the connection goes on'
  }
  if (isRefusal && status < 400) return `a refusal with status ${status}`
  if (echo !== undefined && !received.some((each) => each.requestId === id && each.fingerprint === echo)) {
    return 'an answer with another id'
  }
  if (request !== undefined) {
    return echo === undefined || expectedFingerprint(request) === echo ? '' : 'the answer of another request'
  }
  if (index > reading.requests.length || !isLast) return 'more answers than requests'
  if (!isRefusal) {
    if (!isLenient(one, reading)) return 'served, but no request'
    return goesOn ? 'served with chunks in doubt, and the connection goes on' : ''
  }
  return reading.rest === 'doubtful' && goesOn ? 'in doubt, and the connection goes on' : ''
}

function judgeEnd(one: RequestCase, { sent, reading, answers, endedByGateway, ended }: Played): string {
  if (one.leaving === 'reset') return ''
  if (!ended && one.leaving === 'stay') {
    const isIdle = reading.rest === 'nothing' && answers.answers.length === reading.requests.length
    return isIdle ? 'an idle connection is kept for ever' : 'a connection hangs'
  }
  if (!ended) return 'a connection hangs although its caller has left'
  if (answers.left.length > 0) return 'an answer is cut short'
  if (one.leaving !== 'wait') return ''
  const { requests } = reading
  if (answers.answers.length < requests.length && !endedByGateway) return 'a request is not answered'
  if (!one.isPlain || sent.length < one.messages.reduce((sum, { length }) => sum + length, 0)) return ''
  const inTurns = one.messages.length > 1 || requests.length === 1
  if (reading.rest !== 'nothing') return 'a plain request that the strict reader does not know'
  if (inTurns && answers.answers.length < requests.length) return 'a plain request unanswered'
  const bad = answers.answers.find(({ status }) => status !== 200 && status !== 204)
  return bad === undefined ? '' : `a plain request refused: ${bad.status} ${wordsOf(bad)}`
}

/** What a refusal says, without what it quotes. */
function wordsOf({ body }: ReadAnswer): string {
  const words = /"(?:detail|error|message)":"((?:[^"\\]|\\.)*)"/.exec(body)?.[1] ?? body
  return words.replace(/'[^']*'|\d+|at \/\S*|header [^ ]+|[^ ]+ answers/g, '…').slice(0, 90)
}

function outcomeOf({ reading, answers, endedByGateway }: Played): string {
  const last = answers.answers.at(-1)
  const said = last === undefined ? 'silence' : (last.headers.get('modelgate-error') ?? String(last.status))
  return `${reading.rest === 'doubtful' ? reading.problem : reading.rest} → ${said}${endedByGateway ? ', closed' : ''}`
}
