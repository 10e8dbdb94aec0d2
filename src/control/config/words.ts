/**
 * The small languages inside strings: JSON pointers, header names, `header:x-user-id`, `version:v1`.
 * Each parser returns a value or says what is wrong; none throws, and none touches anything outside.
 */
import type { KeySource } from '../../domain/routes.ts'
import { nearestName } from '../../kernel/nearest-name.ts'
import type { Parsed } from './address.ts'

/** Starts with a letter or digit, so `__proto__`, `.` and `..` are no names; fits a path segment and a label. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
/** RFC 6901 §3: empty, or steps that begin with `/`, with `~` only as `~0` and `~1`. */
export const POINTER = /^(?:\/(?:[^/~]|~[01])*)*$/
/** RFC 9110 §5.6.2 token, at most 128 characters. */
export const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/
/** RFC 3986 pchar without escapes: stands in a path segment and in JSON as it is. */
export const REMOTE_NAME = /^[A-Za-z0-9._~!$&'()*+,;=:@-]{1,128}$/
/** The same in several segments (`meta-llama/Llama-3.1-8B`), for dialects that name the model in the body. */
export const REMOTE_MODEL = /^(?=.{1,128}$)[A-Za-z0-9._~!$&'()*+,;=:@-]+(?:\/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*$/

const POINTER_CHARS_MAX = 512
/** Framing and connection headers say nothing about a caller and are rewritten on the way. */
const NOT_FOR_ROUTING = new Set([
  'connection',
  'content-length',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
])

const refuse = (message: string, suggestion?: string): Parsed<never> => ({ ok: false, message, suggestion })

export function parsePointer(text: string): Parsed<string> {
  if (text.length > POINTER_CHARS_MAX)
    return refuse(`the JSON pointer is longer than ${POINTER_CHARS_MAX} characters`)
  if (POINTER.test(text)) return { ok: true, value: text }
  if (!text.startsWith('/')) {
    const dotted = /^[A-Za-z0-9_.[\]-]+$/.test(text)
    const meant = `/${text
      .replace(/\[(\d+)\]/g, '.$1')
      .split('.')
      .join('/')}`
    return refuse('the JSON pointer does not begin with /', dotted && POINTER.test(meant) ? meant : undefined)
  }
  return refuse('a ~ in a JSON pointer must be written ~0, and a / inside a step ~1')
}

/** In lower case, as headers are held inside the gateway. */
export function parseHeaderName(text: string): Parsed<string> {
  const name = text.toLowerCase()
  if (!HEADER_NAME.test(text)) return refuse('this is not an HTTP header name')
  if (NOT_FOR_ROUTING.has(name)) return refuse(`${name} belongs to the connection, not to the caller`)
  return { ok: true, value: name }
}

export function parseKeySource(text: string): Parsed<KeySource> {
  if (text === 'client') return { ok: true, value: { from: 'client' } }
  if (text === 'random') return { ok: true, value: { from: 'random' } }
  if (text.startsWith('header:')) {
    const name = parseHeaderName(text.slice('header:'.length))
    return name.ok ? { ok: true, value: { from: 'header', name: name.value } } : name
  }
  if (text.startsWith('body:')) {
    const pointer = parsePointer(text.slice('body:'.length))
    if (pointer.ok) return { ok: true, value: { from: 'body', pointer: pointer.value } }
    return refuse(
      pointer.message,
      pointer.suggestion === undefined ? undefined : `body:${pointer.suggestion}`,
    )
  }
  return refuse('this is no source of a key', nearestName(text, ['client', 'random']) ?? headerGuess(text))
}

/** `x-user-id` and `Header: x-user-id` were meant as headers; a single word is nobody's guess. */
function headerGuess(text: string): string | undefined {
  const name = text.replace(/^header\s*[:=]?\s*/i, '')
  return name.includes('-') && parseHeaderName(name).ok ? `header:${name}` : undefined
}

export type Step =
  | { readonly do: 'version'; readonly version: string }
  | { readonly do: 'reply'; readonly file: string }
  | { readonly do: 'fail' }

export function parseStep(text: string): Parsed<Step> {
  if (text === 'fail') return { ok: true, value: { do: 'fail' } }
  if (text.startsWith('version:')) {
    const version = text.slice('version:'.length)
    if (!NAME.test(version)) return refuse('no version name follows version:')
    return { ok: true, value: { do: 'version', version } }
  }
  if (text.startsWith('reply:')) {
    const file = parseFilePath(text.slice('reply:'.length))
    return file.ok ? { ok: true, value: { do: 'reply', file: file.value } } : file
  }
  const typed = /^([a-z]+)\s*[:=]?\s*(.*)$/i.exec(text)
  const word = nearestName(typed?.[1] ?? text, ['fail', 'version', 'reply'])
  const meant = word === null || word === 'fail' ? (word ?? undefined) : `${word}:${typed?.[2] ?? ''}`
  return refuse('this is no consequence', NAME.test(text) && meant === undefined ? `version:${text}` : meant)
}

export function parseFilePath(text: string): Parsed<string> {
  if (text === '') return refuse('the path is empty')
  if (text.includes('\0')) return refuse('the path contains a NUL character')
  return { ok: true, value: text }
}
