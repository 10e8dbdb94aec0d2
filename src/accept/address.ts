/**
 * The peer of a connection as people write it. IPv4 clients of a dual-stack socket appear as ::ffff:a.b.c.d;
 * people expect a.b.c.d. The same few peers come again and again, and the server makes their text anew each time
 * (2 µs), so the text of IPv4 addresses is kept.
 */
import type { HttpResponse } from 'uWebSockets.js'

/** Peers whose text is kept; with one more all are forgotten. */
export const PEERS_MAX = 4096

const IPV4_BYTES = 4
const MAPPED_BYTES = 16
const MAPPED = /^::ffff:(?=\d+\.)/

const texts = new Map<number, string>()

export function addressOf(http: Pick<HttpResponse, 'getRemoteAddress' | 'getRemoteAddressAsText'>): string {
  const bytes = new Uint8Array(http.getRemoteAddress())
  const at = ipv4At(bytes)
  if (at === -1) return Buffer.from(http.getRemoteAddressAsText()).toString('latin1').replace(MAPPED, '')
  const number = bytes[at]! * 0x1000000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)
  const known = texts.get(number)
  if (known !== undefined) return known
  const text = bytes.subarray(at).join('.')
  if (texts.size >= PEERS_MAX) texts.clear()
  texts.set(number, text)
  return text
}

/** Where its four bytes begin; -1 when it is none. RFC 4291 §2.5.5.2: ten zeros, two times 0xff, the address. */
function ipv4At(bytes: Uint8Array): number {
  if (bytes.length === IPV4_BYTES) return 0
  if (bytes.length !== MAPPED_BYTES || bytes[10] !== 0xff || bytes[11] !== 0xff) return -1
  for (let index = 0; index < 10; index += 1) if (bytes[index] !== 0) return -1
  return MAPPED_BYTES - IPV4_BYTES
}
