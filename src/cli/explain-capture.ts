/** What was kept of a request's bodies, and the bodies themselves where they are asked for and still can be read. */

import type { OpenedBody } from '../audit/capture/open-bodies.ts'
import type { CaptureFound } from '../audit/find.ts'
import type { CaptureFate } from '../audit/records/capture-record.ts'
import { bytesOf } from './explain-words.ts'

const FATE_WORDS: Readonly<Record<CaptureFate, string>> = {
  kept: 'kept, encrypted',
  'not-json': 'not kept: there are paths to redact, and it is not JSON',
  'too-large': 'not kept: larger than audit.capture.limit',
  streamed: 'not kept: it was passed on as it came, and held nowhere',
  'no-room': 'not kept: there was no room',
  failed: 'not kept: no key could be made for it',
}

/** One line for each body. */
export function captureLines(captures: readonly CaptureFound[]): string[] {
  return captures
    .filter(({ note }) => note.part === 0)
    .map(
      ({ note }) =>
        `${note.side} body, ${bytesOf(note.bytes)}: ${FATE_WORDS[note.fate] ?? note.fate}${moreOf(note)}`,
    )
}

/** The bodies, each under a line about it. */
export function bodyLines(bodies: readonly OpenedBody[]): string[] {
  if (bodies.length === 0) return ['no body of this request was captured']
  return bodies.flatMap((body) => [
    `${body.side} body, ${bytesOf(body.bytes)}: ${stateOf(body)}`,
    ...textOf(body),
  ])
}

/** For `--json`. A body that is no text is told as base64. */
export function bodyData(bodies: readonly OpenedBody[]): readonly object[] {
  return bodies.map(({ body, ...rest }) => {
    if (body === null) return { ...rest, body: null }
    const text = asText(body)
    return text === null
      ? { ...rest, body: body.toString('base64'), encoding: 'base64' }
      : { ...rest, body: text }
  })
}

function moreOf({ redacted, binaryBytes }: Pick<OpenedBody, 'redacted' | 'binaryBytes'>): string {
  const cut = redacted.length === 0 ? '' : `; blanked: ${redacted.join(', ')}`
  return binaryBytes === 0 ? cut : `${cut}; ${bytesOf(binaryBytes)} of binary data left out`
}

function stateOf(body: OpenedBody): string {
  if (body.state === 'not-kept') return FATE_WORDS[body.fate] ?? body.fate
  if (body.state === 'erased') return 'erased: its key was destroyed, nobody can read it any more'
  if (body.state === 'damaged') return 'damaged: it is not what was sealed, or a part of it is missing'
  return `as it was kept${moreOf(body)}`
}

function textOf({ body }: OpenedBody): string[] {
  if (body === null) return []
  const text = asText(body)
  return text === null
    ? [`  ${body.length} bytes that are no text; --json gives them as base64`]
    : [`  ${text}`]
}

function asText(body: Buffer): string | null {
  const text = body.toString('utf8')
  return Buffer.from(text).equals(body) ? text : null
}
