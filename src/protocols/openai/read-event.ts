/**
 * What one event of a streamed answer says: content or none, why the model stopped, how many tokens it took, an
 * error. Looks first for the few words that can matter, so that an event of plain text costs three searches and no
 * scan. Builds nothing, and believes nothing that is not well-formed.
 */
import { Buffer } from 'node:buffer'
import { FINISH_REASON_LENGTH_MAX, type Usage } from '../../domain/outcome.ts'
import { type JsonPath, type JsonSpan, rawOf, scanJson, textOf } from '../../kernel/json-scan.ts'
import { fieldsOf, itemsOf } from '../walk-json.ts'

export interface Chunk {
  readonly hasContent: boolean
  /** Empty when no choice ended in it. */
  readonly finishReason: string
  readonly usage: Usage | null
  readonly isError: boolean
}

const TOP: readonly JsonPath[] = [['choices'], ['usage'], ['error']]
const DONE = Buffer.from('[DONE]')

export function isDone(data: Uint8Array): boolean {
  return DONE.every((byte, index) => data[index] === byte)
}

/** Null when it is not well-formed. */
export function readChunk(json: Uint8Array): Chunk | null {
  const scan = scanJson(json, TOP)
  if (!scan.ok) return null
  const [choices, usage, error] = scan.found
  const read = choices?.kind === 'array' ? readChoices(json, choices) : NO_CHOICES
  return {
    ...read,
    usage: usage?.kind === 'object' ? readUsage(json, usage) : null,
    isError: error !== null && error?.kind !== 'null' && error?.kind !== 'false',
  }
}

/** False: nothing in it but content, if that. A word between quotes stands in no text: there quotes are escaped. */
export function mayMatter(json: Uint8Array): boolean {
  const bytes = Buffer.from(json.buffer, json.byteOffset, json.length)
  return hasValue(bytes, FINISH) || hasValue(bytes, USAGE) || bytes.includes(ERROR)
}

const FINISH = Buffer.from('"finish_reason"')
const USAGE = Buffer.from('"usage"')
const ERROR = Buffer.from('"error"')

/** Some occurrence of the key is followed by anything but `null`. */
function hasValue(bytes: Buffer, key: Buffer): boolean {
  for (let at = bytes.indexOf(key); at !== -1; at = bytes.indexOf(key, at + 1)) {
    let after = at + key.length
    while (bytes[after] === 0x3a || bytes[after] === 0x20) after += 1
    if (bytes[after] !== 0x6e) return true
  }
  return false
}

type Choices = Pick<Chunk, 'hasContent' | 'finishReason'>

const NO_CHOICES: Choices = { hasContent: false, finishReason: '' }

/** Of several choices the first one's reason counts. */
export function readChoices(json: Uint8Array, list: JsonSpan): Choices {
  let hasContent = false
  let finishReason = ''
  for (const choice of itemsOf(json, list)) {
    if (choice.kind !== 'object') continue
    for (const { key, value } of fieldsOf(json, choice)) {
      const name = textOf(json, key)
      if (name === 'finish_reason') finishReason ||= reasonIn(json, value)
      else if (name === 'text') hasContent ||= isFilled(json, value)
      else if (name === 'delta' && value.kind === 'object') hasContent ||= isDeltaFilled(json, value)
    }
  }
  return { hasContent, finishReason }
}

function reasonIn(json: Uint8Array, value: JsonSpan): string {
  return value.kind === 'string' ? textOf(json, value).slice(0, FINISH_REASON_LENGTH_MAX) : ''
}

/** Text, tool calls, a refusal, reasoning …: anything but who speaks. */
function isDeltaFilled(json: Uint8Array, delta: JsonSpan): boolean {
  for (const { key, value } of fieldsOf(json, delta)) {
    if (textOf(json, key) !== 'role' && isFilled(json, value)) return true
  }
  return false
}

function isFilled(json: Uint8Array, value: JsonSpan): boolean {
  switch (value.kind) {
    case 'string':
      return value.end - value.start > 2
    case 'array':
      return !itemsOf(json, value).next().done
    case 'object':
      return !fieldsOf(json, value).next().done
    default:
      return false
  }
}

/** `usage`: an object in proven JSON. */
export function readUsage(json: Uint8Array, usage: JsonSpan): Usage {
  const counts = new Map<string, number>()
  for (const { key, value } of fieldsOf(json, usage)) {
    if (value.kind !== 'number') continue
    const count = Number(rawOf(json, value))
    if (Number.isSafeInteger(count) && count >= 0) counts.set(textOf(json, key), count)
  }
  const of = (name: string): number => counts.get(name) ?? -1
  return { prompt: of('prompt_tokens'), completion: of('completion_tokens'), total: of('total_tokens') }
}
