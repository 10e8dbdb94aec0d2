/**
 * What one event of a streamed answer says: content or none, why the model stopped, how many tokens it took, an
 * error. Looks first for the few words that can matter, so that an event of plain text costs three searches and no
 * scan. Builds nothing, and believes nothing that is not well-formed.
 */
import { Buffer } from 'node:buffer'
import { FINISH_REASON_LENGTH_MAX, type Usage } from '../../domain/outcome.ts'
import { isText, type JsonPath, type JsonSpan, rawOf, scanJson, textOf } from '../../kernel/json-scan.ts'
import { eachField, eachItem, isBare } from '../walk-json.ts'

export interface Chunk {
  readonly hasContent: boolean
  /** Empty when no choice ended in it. */
  readonly finishReason: string
  readonly usage: Usage | null
  readonly isError: boolean
  /** The error says that the request was at fault, as a 4xx status would. */
  readonly isCallersError: boolean
}

const TOP: readonly JsonPath[] = [['choices'], ['usage'], ['error'], ['error', 'type'], ['error', 'code']]
const DONE = Buffer.from('[DONE]')

export function isDone(data: Uint8Array): boolean {
  return DONE.every((byte, index) => data[index] === byte)
}

/** Null when it is not well-formed. */
export function readChunk(json: Uint8Array): Chunk | null {
  const scan = scanJson(json, TOP)
  if (!scan.ok) return null
  const [choices, usage, error, type, code] = scan.found
  const { hasContent, finishReason } = choices?.kind === 'array' ? readChoices(json, choices) : NO_CHOICES
  return {
    hasContent,
    finishReason,
    usage: usage?.kind === 'object' ? readUsage(json, usage) : null,
    isError: error !== null && error?.kind !== 'null' && error?.kind !== 'false',
    isCallersError: isCallers(json, type) || isClientStatus(json, code),
  }
}

function isCallers(json: Uint8Array, type: JsonSpan | null | undefined): boolean {
  return type?.kind === 'string' && CALLERS.has(textOf(json, type))
}

/** Types of error that OpenAI-like servers give with a 4xx status. */
const CALLERS: ReadonlySet<string> = new Set(['invalid_request_error', 'BadRequestError', 'rate_limit_error'])

function isClientStatus(json: Uint8Array, code: JsonSpan | null | undefined): boolean {
  return code?.kind === 'number' && /^4\d\d$/.test(rawOf(json, code))
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
  eachItem(json, list, (choice) => {
    if (choice.kind !== 'object') return
    eachField(json, choice, (key, value) => {
      if (value.kind === 'string') {
        if (isText(json, key, 'finish_reason')) finishReason ||= reasonIn(json, value)
        else if (isText(json, key, 'text')) hasContent ||= isFilled(json, value)
      } else if (value.kind === 'object' && isText(json, key, 'delta')) {
        hasContent ||= isDeltaFilled(json, value)
      }
    })
  })
  return { hasContent, finishReason }
}

function reasonIn(json: Uint8Array, value: JsonSpan): string {
  return textOf(json, value).slice(0, FINISH_REASON_LENGTH_MAX)
}

/** Text, tool calls, a refusal, reasoning …: anything but who speaks. */
function isDeltaFilled(json: Uint8Array, delta: JsonSpan): boolean {
  let found = false
  eachField(json, delta, (key, value) => {
    found ||= isFilled(json, value) && !isText(json, key, 'role')
  })
  return found
}

function isFilled(json: Uint8Array, value: JsonSpan): boolean {
  if (value.kind === 'string') return value.end - value.start > 2
  return (value.kind === 'array' || value.kind === 'object') && !isBare(json, value)
}

/** `usage`: an object in proven JSON. */
export function readUsage(json: Uint8Array, usage: JsonSpan): Usage {
  let prompt = -1
  let completion = -1
  let total = -1
  eachField(json, usage, (key, value) => {
    if (value.kind !== 'number') return
    if (isText(json, key, 'prompt_tokens')) prompt = countIn(json, value)
    else if (isText(json, key, 'completion_tokens')) completion = countIn(json, value)
    else if (isText(json, key, 'total_tokens')) total = countIn(json, value)
  })
  return { prompt, completion, total }
}

/** -1 for what counts nothing: a fraction, less than none, more than can be counted. */
function countIn(json: Uint8Array, { start, end }: JsonSpan): number {
  if (end - start > COUNT_DIGITS_MAX) return -1
  let count = 0
  for (let at = start; at < end; at += 1) {
    const digit = json[at]! - 0x30
    if (digit < 0 || digit > 9) return -1
    count = count * 10 + digit
  }
  return count
}

/** So many digits are always a safe integer. */
const COUNT_DIGITS_MAX = 15
