/**
 * One text for each IP address, so that whoever keys, counts or compares callers by it takes none for two. IPv6 as
 * RFC 5952 §4 has it; IPv4 as four numbers, also where a dual-stack socket or a proxy wraps it in IPv6.
 */

/** `bytes`: 4 or 16 of them; of any other number there is no address, and no text. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) return ''
  return isMapped(bytes) ? bytes.subarray(12).join('.') : ipv6Text(bytes)
}

/** ::ffff:0:0/96. */
function isMapped(bytes: Uint8Array): boolean {
  for (let index = 0; index < 10; index += 1) if (bytes[index] !== 0) return false
  return bytes[10] === 0xff && bytes[11] === 0xff
}

/** The longest run of two zero groups or more is left out, of equals the first. */
export function ipv6Text(bytes: Uint8Array): string {
  let gapEnd = -1
  let gapLength = 1
  let length = 0
  for (let index = 0; index < 8; index += 1) {
    length = groupAt(bytes, index) === 0 ? length + 1 : 0
    if (length <= gapLength) continue
    gapLength = length
    gapEnd = index + 1
  }
  if (gapEnd === -1) return groupsText(bytes, 0, 8)
  return `${groupsText(bytes, 0, gapEnd - gapLength)}::${groupsText(bytes, gapEnd, 8)}`
}

function groupAt(bytes: Uint8Array, index: number): number {
  return (bytes[2 * index]! << 8) | bytes[2 * index + 1]!
}

function groupsText(bytes: Uint8Array, from: number, to: number): string {
  let text = ''
  for (let index = from; index < to; index += 1) {
    text += `${index === from ? '' : ':'}${groupAt(bytes, index).toString(16)}`
  }
  return text
}

/** The whole groups of a /64. */
const NETWORK_GROUPS = 4

/**
 * What an address has in common with its neighbours that one customer can take at will: of IPv6 the first 64 bits, with
 * `/64`; an IPv4 address is itself. `text`: as addressText writes it.
 */
export function networkText(text: string): string {
  const gap = text.indexOf('::')
  const written = gap === -1 ? text : text.slice(0, gap)
  if (gap === -1 && !text.includes(':')) return text
  const groups = written === '' ? [] : written.split(':').slice(0, NETWORK_GROUPS)
  if (gap !== -1 && groups.length < NETWORK_GROUPS)
    groups.push(...behindGap(text.slice(gap + 2), groups.length))
  return `${groups.join(':')}::/64`
}

/** The zeros of the gap, and what of the groups behind it still belongs to the network. */
function behindGap(rest: string, before: number): string[] {
  const after = rest === '' ? [] : rest.split(':')
  const zeros = Array.from({ length: 8 - before - after.length }, () => '0')
  return [...zeros, ...after].slice(0, NETWORK_GROUPS - before)
}
