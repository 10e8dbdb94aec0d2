/**
 * What may be kept for equal questions, and when it may be given: the parts of HTTP caching (RFC 9111) that matter to
 * a cache that never asks an endpoint whether its answer still holds. Deterministic.
 */
import { headerOf } from '../domain/head.ts'
import type { Answer } from '../domain/outcome.ts'
import { CHOOSING } from './answer-key.ts'

export interface Wish {
  /** no-store: neither give a kept answer nor keep this one. */
  readonly isOff: boolean
  /** No kept answer older than this, in seconds; -1: none at all (no-cache). Infinity: any. */
  readonly ageMax: number
}

export const ANYTHING: Wish = { isOff: false, ageMax: Number.POSITIVE_INFINITY }

/** What the caller says in cache-control (or, in its absence, pragma). */
export function wishOf(headers: readonly string[]): Wish {
  let control = ''
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] === 'cache-control') control += `${headers[index + 1]!},`
  }
  if (control === '') {
    const isOld = /\bno-cache\b/i.test(headerOf(headers, 'pragma') ?? '')
    return isOld ? { isOff: false, ageMax: -1 } : ANYTHING
  }
  const directives = directivesOf(control)
  if (directives.has('no-store')) return { isOff: true, ageMax: -1 }
  if (directives.has('no-cache')) return { isOff: false, ageMax: -1 }
  const ageMax = secondsOf(directives.get('max-age'))
  return ageMax === undefined ? ANYTHING : { isOff: false, ageMax }
}

export interface Keepable {
  readonly ttlMs: number
  /** In seconds, from the answer's own Age. */
  readonly age: number
}

export interface Terms {
  readonly ttlMs: number
  /** The answer may be given to another caller. */
  readonly shared: boolean
  /** Request headers that are part of the key. */
  readonly vary: readonly string[]
}

/** For how long an answer may be kept; null: not at all. */
export function keepableOf({ status, headers }: Answer, { ttlMs, shared, vary }: Terms): Keepable | null {
  if (status !== 200) return null
  let age = 0
  let freshMs = ttlMs
  for (let index = 0; index < headers.length; index += 2) {
    const [name, value] = [headers[index]!, headers[index + 1]!]
    if (name === 'set-cookie') return null
    if (name === 'vary' && !isCovered(value, vary)) return null
    if (name === 'age') age = secondsOf(value) ?? 0
    if (name === 'cache-control') freshMs = Math.min(freshMs, freshOf(directivesOf(value), shared))
  }
  const left = Math.min(ttlMs, freshMs - (freshMs < ttlMs ? age * 1000 : 0))
  return left < 1 ? null : { ttlMs: Math.floor(left), age }
}

/** What the endpoint allows, in ms. */
function freshOf(directives: ReadonlyMap<string, string>, shared: boolean): number {
  if (directives.has('no-store') || directives.has('no-cache')) return 0
  if (shared && directives.has('private')) return 0
  const own = shared ? secondsOf(directives.get('s-maxage')) : undefined
  const seconds = own ?? secondsOf(directives.get('max-age'))
  return seconds === undefined ? Number.POSITIVE_INFINITY : seconds * 1000
}

function isCovered(value: string, vary: readonly string[]): boolean {
  return value.split(',').every((part) => {
    const name = part.trim().toLowerCase()
    return name === '' || CHOOSING.includes(name) || vary.includes(name)
  })
}

/** RFC 9111 §5.2: names without regard to case, values plain or quoted. */
function directivesOf(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const part of text.split(',')) {
    const [name = '', value = ''] = part.split('=', 2)
    found.set(name.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, '$1'))
  }
  return found
}

function secondsOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text.trim()) ? Number(text) : undefined
}
