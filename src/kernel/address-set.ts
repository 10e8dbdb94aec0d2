/**
 * Ranges of IP addresses, compared as bytes and never as text. An IPv4 address is the same whether a
 * dual-stack socket writes it as `::ffff:10.0.0.1` or not, in a range and in what is looked up.
 *
 * Strict: a range with bits behind its prefix, a zone or a short form is none, for two readers could take it
 * for different ones.
 */
import { ipv6Text } from './address-text.ts'
import { addressBytes } from './private-address.ts'

const BYTES = 16
const IPV4_PREFIX_BITS = 96
const PREFIX = /^(?:0|[1-9][0-9]{0,2})$/

/** 16 bytes, IPv4 as `::ffff:a.b.c.d`; null when the text is no address. */
export function parseAddress(text: string): Uint8Array | null {
  if (text.includes('%')) return null
  const bytes = addressBytes(text)
  if (bytes === undefined || bytes.length === BYTES) return bytes ?? null
  const mapped = new Uint8Array(BYTES)
  mapped.fill(0xff, 10, 12)
  mapped.set(bytes, 12)
  return mapped
}

export interface AddressRange {
  readonly bytes: Uint8Array
  /** Of 128. */
  readonly bits: number
}

export type RangeParsed =
  | { readonly ok: true; readonly range: AddressRange }
  | { readonly ok: false; readonly message: string; readonly suggestion?: string }

/** `10.0.0.0/8`, `fd00::/8`, or one address. */
export function parseRange(text: string): RangeParsed {
  const slash = text.indexOf('/')
  const address = slash === -1 ? text : text.slice(0, slash)
  const bytes = parseAddress(address)
  if (bytes === null) return { ok: false, message: 'this is not an IP address or a range of them' }
  const isShort = !address.includes(':')
  const most = isShort ? 32 : 128
  const length = slash === -1 ? most : lengthOf(text.slice(slash + 1))
  if (length > most) return { ok: false, message: `a prefix length is a whole number from 0 to ${most}` }
  const bits = length + (isShort ? IPV4_PREFIX_BITS : 0)
  const network = masked(bytes, bits)
  if (network.every((byte, index) => byte === bytes[index])) return { ok: true, range: { bytes, bits } }
  return {
    ok: false,
    message: `the address has bits behind its prefix of ${length}`,
    suggestion: `${textOf(network, isShort)}/${length}`,
  }
}

/** Addresses that belong to at least one range. */
export class AddressSet {
  readonly #ranges: readonly AddressRange[]

  constructor(ranges: readonly AddressRange[]) {
    this.#ranges = ranges
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0
  }

  /** `address`: of parseAddress. */
  has(address: Uint8Array): boolean {
    for (const range of this.#ranges) if (isWithin(address, range)) return true
    return false
  }
}

function isWithin(address: Uint8Array, { bytes, bits }: AddressRange): boolean {
  const whole = bits >> 3
  for (let index = 0; index < whole; index += 1) if (address[index] !== bytes[index]) return false
  const rest = bits & 7
  return rest === 0 || ((address[whole]! ^ bytes[whole]!) & maskOf(rest)) === 0
}

/** A byte with that many leading ones. */
function maskOf(bits: number): number {
  return (0xff00 >> bits) & 0xff
}

function lengthOf(text: string): number {
  return PREFIX.test(text) ? Number(text) : Number.POSITIVE_INFINITY
}

function masked(bytes: Uint8Array, bits: number): Uint8Array {
  return bytes.map((byte, index) => byte & maskOf(Math.min(8, Math.max(0, bits - index * 8))))
}

function textOf(bytes: Uint8Array, isShort: boolean): string {
  return isShort ? bytes.subarray(12).join('.') : ipv6Text(bytes)
}
