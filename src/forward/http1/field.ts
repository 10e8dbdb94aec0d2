/**
 * The grammar of header names and values (RFC 9110 §5.1, §5.5), for both directions, and which headers
 * belong to one hop only. Strict: what is refused here is never repaired.
 */

const LOWER = 1
const UPPER = 2
const TOKEN = new Uint8Array(128)
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") TOKEN[char.charCodeAt(0)] = LOWER
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') TOKEN[char.charCodeAt(0)] = UPPER

/**
 * A non-empty token of ASCII. To be asked before `toLowerCase`, which turns U+212A (the Kelvin sign)
 * into a plain k.
 */
export function isToken(text: string): boolean {
  return hasOnly(text, LOWER | UPPER)
}

/** A token without upper case, so that no spelling slips past a comparison. */
export function isLowerToken(text: string): boolean {
  return hasOnly(text, LOWER)
}

/** A byte that may stand in a token. */
export function isTokenByte(byte: number): boolean {
  return byte < 128 && TOKEN[byte] !== 0
}

function hasOnly(text: string, kinds: number): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code >= 128 || (TOKEN[code]! & kinds) === 0) return false
  }
  return text.length > 0
}

/** RFC 9110 §7.6.1, with the older names still seen. They end here, in both directions. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** `name` in lower case. */
export function isHopByHop(name: string): boolean {
  return HOP_BY_HOP.has(name)
}

const SPACE = 0x20
const TAB = 0x09

/** `text` from start to end without the spaces and tabs around it. */
export function trimmed(text: string, start: number, end: number): string {
  let first = start
  let last = end
  while (first < last && isBlank(text.charCodeAt(first))) first += 1
  while (last > first && isBlank(text.charCodeAt(last - 1))) last -= 1
  return text.slice(first, last)
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB
}
