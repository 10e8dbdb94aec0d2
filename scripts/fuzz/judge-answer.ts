/**
 * One case, two readers, one judgement. The laws, for every input whatsoever:
 *
 * - Complete here: at exactly the same byte it becomes complete for Node (or only by the end of the
 *   connection, for both), with the same status, headers, interim answers and body.
 * - Cut short here: cut short, or refused, for Node. A broken answer is never complete for anybody.
 * - Refused here: Node may accept it, but only for a reason on the list below.
 * - Fed in pieces, it is what it is whole.
 */
import { isDeepStrictEqual } from 'node:util'
import { isHopByHop } from '../../src/forward/http1/field.ts'
import { type Reading, read } from '../../test/forward/http1/corpus.ts'
import { type AnswerCase, piecesOf } from './answer-cases.ts'
import { type NodeReading, nodeReads } from './node-reader.ts'

/** What this reader refuses and Node reads (SPEC.md says why for each). */
export const STRICTER: readonly string[] = [
  'a Content-Length that is not a plain number',
  'a CR without LF',
  'a NUL byte',
  'a Transfer-Encoding other than one chunked',
  'a chunk size with too many digits',
  'a control byte in the header section',
  'a framing header in the trailers',
  'a malformed chunk extension',
  'a tab in a framing header',
  'an interim answer that announces a body',
  'an interim answer in HTTP/1.0',
  'an interim answer that ends the connection',
  'it does not begin with HTTP/1.',
  'it switches protocols, which was not asked for',
  'the status line is not HTTP/1.0 or 1.1 with a status from 100 to 599',
  'Transfer-Encoding in an HTTP/1.0 answer',
  'Transfer-Encoding more than once',
]

export interface Judgement {
  /** What became of it here: `end`, `end by close`, `truncated`, `nothing`, or the refusal. */
  readonly outcome: string
  /** Refused here and read by Node. */
  readonly isStricter: boolean
  /** Which law it breaks; empty when it breaks none. */
  readonly broken: string
}

export async function judgeAnswer(one: AnswerCase): Promise<Judgement> {
  const whole = read([one.bytes], one.method)
  const outcome = outcomeOf(whole)
  const pieces = read(piecesOf(one), one.method)
  if (!isDeepStrictEqual(pieces, whole)) {
    return { outcome, isStricter: false, broken: `in pieces it is ${outcomeOf(pieces)}` }
  }
  if (whole.outcome === 'end') {
    return { outcome, isStricter: false, broken: await differenceOf(whole, one) }
  }
  const node = await nodeReads(one.bytes, one.method, true)
  if (whole.outcome !== 'malformed') {
    return { outcome, isStricter: false, broken: node.isComplete ? 'cut short here, complete for Node' : '' }
  }
  const isListed = STRICTER.includes(whole.problem)
  return {
    outcome,
    isStricter: node.isComplete,
    broken: node.isComplete && !isListed ? `refused here, read by Node: ${whole.problem}` : '',
  }
}

function outcomeOf({ outcome, byClose, problem }: Reading): string {
  if (outcome === 'malformed') return problem
  return byClose ? 'end by close' : outcome
}

async function differenceOf(ours: Reading, { bytes, method }: AnswerCase): Promise<string> {
  if (ours.byClose) {
    const open = await nodeReads(bytes, method, false)
    if (open.isComplete) return 'complete for Node before the connection ended'
    return differs(ours, await nodeReads(bytes, method, true), method)
  }
  const used = bytes.length - ours.surplus
  const before = await nodeReads(bytes.subarray(0, used - 1), method, false)
  if (before.isComplete) return 'complete for Node before its last byte'
  return differs(ours, await nodeReads(bytes.subarray(0, used), method, false), method)
}

function differs(ours: Reading, node: NodeReading, method: string): string {
  if (!node.isComplete) return `complete here, ${node.hasFailed ? 'refused' : 'not complete'} for Node`
  if (node.status !== ours.status) return `status ${ours.status} here, ${node.status} for Node`
  if (node.body !== ours.body) return `another body: ${JSON.stringify([ours.body, node.body])}`
  if (node.interims !== ours.interims)
    return `${ours.interims} interim answers here, ${node.interims} for Node`
  if (ours.keeps && !node.keepsAlive) return 'used again here, not by Node'
  const here = method === 'HEAD' ? withoutLength(ours.headers) : ours.headers
  const there = endToEnd(node.headers)
  return isDeepStrictEqual(here, there) ? '' : `other headers: ${JSON.stringify([here, there])}`
}

function withoutLength(headers: readonly string[]): string[] {
  return kept(headers, (name) => name !== 'content-length')
}

/** What Node shows, without what ends at this hop. */
function endToEnd(headers: readonly string[]): string[] {
  const named = kept(headers, (name) => name === 'connection')
    .filter((_, index) => index % 2 === 1)
    .flatMap((value) => value.toLowerCase().split(','))
    .map((name) => name.replace(/^[ \t]+|[ \t]+$/g, ''))
  return kept(
    headers,
    (name) => !isHopByHop(name) && name !== 'date' && name !== 'content-length' && !named.includes(name),
  )
}

function kept(headers: readonly string[], isKept: (name: string) => boolean): string[] {
  const left: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    if (isKept(headers[index]!)) left.push(headers[index]!, headers[index + 1]!)
  }
  return left
}
