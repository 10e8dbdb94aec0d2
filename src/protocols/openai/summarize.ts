/**
 * What an answer held whole came to: why the model stopped and how many tokens it took. A long one is not scanned on
 * a lane (4 ms per MiB): of it only the usage is read, where it stands near the end.
 */
import { Buffer } from 'node:buffer'
import { headerOf, mediaTypeOf } from '../../domain/head.ts'
import type { Answer, AnswerSummary } from '../../domain/outcome.ts'
import { type JsonPath, scanJson } from '../../kernel/json-scan.ts'
import { readChoices, readUsage } from './read-event.ts'
import { StreamTap } from './tap.ts'

const SCANNED_BYTES_MAX = 64 * 1024
/** Longer than any usage object. */
const USAGE_BYTES_MAX = 4 * 1024
const USAGE_KEY = Buffer.from('"usage"')
const TOP: readonly JsonPath[] = [['choices'], ['usage']]
const WHOLE: readonly JsonPath[] = [[]]

export function summarize({ status, headers, body }: Answer): AnswerSummary | null {
  if (status >= 400 || headerOf(headers, 'content-encoding') !== undefined) return null
  const type = mediaTypeOf(headers)
  if (type === 'text/event-stream') return summarizeStream(body)
  if (type !== 'application/json') return null
  return body.length > SCANNED_BYTES_MAX ? summarizeEnd(body) : summarizeDocument(body)
}

function summarizeStream(body: Uint8Array): AnswerSummary {
  const tap = new StreamTap(null)
  tap.push(body)
  tap.rest()
  return tap.summary()
}

function summarizeDocument(body: Uint8Array): AnswerSummary {
  const scan = scanJson(body, TOP)
  if (!scan.ok) return { ...NOTHING_TOLD, problem: 'it is not well-formed JSON' }
  const [choices, usage] = scan.found
  return {
    ...NOTHING_TOLD,
    finishReason: choices?.kind === 'array' ? readChoices(body, choices).finishReason : '',
    usage: usage?.kind === 'object' ? readUsage(body, usage) : null,
  }
}

function summarizeEnd(body: Uint8Array): AnswerSummary {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
  const key = bytes.lastIndexOf(USAGE_KEY)
  const start = key === -1 ? -1 : bytes.indexOf(0x7b, key)
  if (start === -1 || start > key + USAGE_KEY.length + 8) return NOTHING_TOLD
  const near = bytes.subarray(start, start + USAGE_BYTES_MAX)
  // The shortest piece that is one JSON object; the nested ones inside it end too early to be that.
  for (let end = near.indexOf(0x7d); end !== -1; end = near.indexOf(0x7d, end + 1)) {
    const object = near.subarray(0, end + 1)
    const scan = scanJson(object, WHOLE)
    if (scan.ok) return { ...NOTHING_TOLD, usage: readUsage(object, scan.found[0]!) }
  }
  return NOTHING_TOLD
}

const NOTHING_TOLD: AnswerSummary = { finishReason: '', usage: null, events: -1, problem: '' }
