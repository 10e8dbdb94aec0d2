/**
 * The peer of a connection as people write it, from its bytes: the server's own text writes every zero of IPv6, and
 * an IPv4 client of a dual-stack socket as one. The same few peers come again and again, so the text of IPv4
 * addresses is kept.
 */
import type { HttpResponse } from 'uWebSockets.js'
import { addressText } from '../kernel/address-text.ts'

/** Peers whose text is kept; with one more all are forgotten. */
export const PEERS_MAX = 4096

const IPV4_BYTES = 4
const texts = new Map<number, string>()

export function addressOf(http: Pick<HttpResponse, 'getRemoteAddress'>): string {
  const bytes = new Uint8Array(http.getRemoteAddress())
  if (bytes.length !== IPV4_BYTES) return addressText(bytes)
  const number = bytes[0]! * 0x1000000 + ((bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!)
  const known = texts.get(number)
  if (known !== undefined) return known
  const text = addressText(bytes)
  if (texts.size >= PEERS_MAX) texts.clear()
  texts.set(number, text)
  return text
}
