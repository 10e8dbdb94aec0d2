/**
 * Which addresses are not of the public internet: this machine, private networks, the link (with the
 * metadata service of every cloud at 169.254.169.254), carriers' NAT, multicast, documentation, reserved.
 *
 * Closed world: what cannot be parsed is private. IPv6 that carries an IPv4 address (mapped, compatible,
 * NAT64, 6to4) is judged by it, so no spelling of 127.0.0.1 gets past. Deterministic; no names.
 */

const OCTET = /^(?:0|[1-9][0-9]{0,2})$/
const GROUP = /^[0-9a-fA-F]{1,4}$/

/** IANA special-purpose registries, 2025; `address/bits`. */
const RANGES_4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15'],
  ...['198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
]
const RANGES_6 = [
  ...['::/128', '::1/128', '64:ff9b:1::/48', '100::/64', '2001::/32', '2001:2::/48', '2001:10::/28'],
  ...['2001:20::/28', '2001:db8::/32', '3fff::/20', '5f00::/16', 'fc00::/7', 'fe80::/10', 'fec0::/10'],
  'ff00::/8',
]
/** Where an IPv4 address is inside: prefix, and the byte at which it begins. */
const CARRIERS: readonly (readonly [range: string, at: number])[] = [
  ['::ffff:0:0/96', 12],
  ['::/96', 12],
  ['64:ff9b::/96', 12],
  ['2002::/16', 2],
]

interface Range {
  readonly bytes: Uint8Array
  readonly bits: number
}

const DENIED_4 = RANGES_4.map(rangeOf)
const DENIED_6 = RANGES_6.map(rangeOf)
const EMBEDDED = CARRIERS.map(([range, at]) => ({ range: rangeOf(range), at }))

/** `address` as the system or a configuration writes it, IPv6 without brackets. */
export function isPrivateAddress(address: string): boolean {
  const bytes = addressBytes(address)
  if (bytes === undefined) return true
  if (bytes.length === 4) return isIn(bytes, DENIED_4)
  if (isIn(bytes, DENIED_6)) return true
  for (const { range, at } of EMBEDDED) {
    if (isWithin(bytes, range)) return isIn(bytes.subarray(at, at + 4), DENIED_4)
  }
  return false
}

/** 4 or 16 bytes; undefined when it is no IP address. */
export function addressBytes(address: string): Uint8Array | undefined {
  const zone = address.indexOf('%')
  const text = zone === -1 ? address : address.slice(0, zone)
  return text.includes(':') ? bytes6(text) : bytes4(text)
}

function bytes4(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => OCTET.test(part) && Number(part) < 256)) return undefined
  return Uint8Array.from(parts, Number)
}

function bytes6(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const left = groupBytes(halves[0]!)
  const right = halves.length === 2 ? groupBytes(halves[1]!) : []
  if (left === undefined || right === undefined) return undefined
  const length = left.length + right.length
  if (halves.length === 1 ? length !== 16 : length > 14) return undefined
  const bytes = new Uint8Array(16)
  bytes.set(left)
  bytes.set(right, 16 - right.length)
  return bytes
}

/** Groups between colons; the last may be an IPv4 address. */
function groupBytes(text: string): number[] | undefined {
  if (text === '') return []
  const bytes: number[] = []
  const groups = text.split(':')
  for (const [index, group] of groups.entries()) {
    const embedded = index === groups.length - 1 ? bytes4(group) : undefined
    if (embedded !== undefined) bytes.push(...embedded)
    else if (!GROUP.test(group)) return undefined
    else bytes.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff)
  }
  return bytes.length > 16 ? undefined : bytes
}

function rangeOf(text: string): Range {
  const [address = '', bits = ''] = text.split('/')
  return { bytes: addressBytes(address)!, bits: Number(bits) }
}

function isIn(bytes: Uint8Array, ranges: readonly Range[]): boolean {
  return ranges.some((range) => isWithin(bytes, range))
}

function isWithin(bytes: Uint8Array, range: Range): boolean {
  for (let bit = 0; bit < range.bits; bit += 8) {
    const mask = range.bits - bit >= 8 ? 0xff : (0xff << (8 - (range.bits - bit))) & 0xff
    if ((bytes[bit / 8]! & mask) !== (range.bytes[bit / 8]! & mask)) return false
  }
  return true
}
