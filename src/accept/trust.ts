/**
 * Whose word about callers is believed. By default nobody's: the caller is the peer of the connection, and
 * what it claims in forwarding headers is overwritten. A peer of `server.trust` is a proxy of ours: its chain
 * is kept and extended, and the caller is the right-most address of it that is no proxy of ours.
 *
 * Only the right part of a chain is known to be true: it is read from its end and cut at the first entry that
 * is no address, so nobody can hide behind nonsense that a trusted proxy passed on.
 */
import type { Forwarded } from '../domain/head.ts'
import { AddressSet, parseAddress, parseRange } from '../kernel/address-set.ts'
import { addressText } from '../kernel/address-text.ts'
import { isHost } from './host.ts'

/** More entries than any sane path has hops; what is further left is cut. */
export const CHAIN_HOPS_MAX = 32
/** Peers whose answer is remembered; proxies are few and their connections many. */
const PEERS_MAX = 1024

/** An IPv4 or bracketed IPv6 address with a port, as some proxies write it. */
const WITH_PORT = /^(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\])(?::[0-9]{1,5})?$/

export interface Origin {
  readonly clientAddress: string
  readonly forwarded: Forwarded
}

export class TrustPolicy {
  readonly #trusted: AddressSet
  readonly #scheme: Forwarded['scheme']
  readonly #peers = new Map<string, boolean>()

  /** `ranges`: as configured and checked. `scheme`: of this listener. */
  constructor(ranges: readonly string[], scheme: Forwarded['scheme']) {
    const parsed = ranges.map(parseRange)
    this.#trusted = new AddressSet(parsed.flatMap((one) => (one.ok ? [one.range] : [])))
    this.#scheme = scheme
  }

  /** `claims`: whether any x-forwarded- header is there; without them there is nothing to read. */
  originOf(peer: string, host: string, headers: readonly string[], claims: boolean): Origin {
    const isTrusted = !this.#trusted.isEmpty && this.#isTrusted(peer)
    if (!isTrusted || !claims) {
      return { clientAddress: peer, forwarded: { isTrusted, chain: peer, host, scheme: this.#scheme } }
    }
    const claimed = readClaims(headers)
    const chain = [...this.#credible(claimed.chain), peer]
    const first = chain.findLastIndex((address) => !this.#isTrusted(address))
    return {
      clientAddress: textOf(chain[Math.max(0, first)]!),
      forwarded: {
        isTrusted,
        chain: chain.join(', '),
        host: isHost(claimed.host) ? claimed.host : host,
        scheme: claimed.scheme === 'http' || claimed.scheme === 'https' ? claimed.scheme : this.#scheme,
      },
    }
  }

  #isTrusted(address: string): boolean {
    const known = this.#peers.get(address)
    if (known !== undefined) return known
    const bytes = bytesOf(address)
    const isTrusted = bytes !== null && this.#trusted.has(bytes)
    if (this.#peers.size >= PEERS_MAX) this.#peers.clear()
    this.#peers.set(address, isTrusted)
    return isTrusted
  }

  /** The longest right part of the chain that consists of addresses. */
  #credible(chain: readonly string[]): readonly string[] {
    const entries = chain.slice(-CHAIN_HOPS_MAX)
    const broken = entries.findLastIndex((entry) => bytesOf(entry) === null)
    return entries.slice(broken + 1)
  }
}

interface Claims {
  readonly chain: readonly string[]
  readonly host: string
  readonly scheme: string
}

const LIST = ','

/** Several lines of one header are one list (RFC 9110 §5.3). A list of hosts or schemes is no claim. */
function readClaims(headers: readonly string[]): Claims {
  const chain: string[] = []
  let host = ''
  let scheme = ''
  for (let index = 0; index < headers.length; index += 2) {
    const value = headers[index + 1]!
    if (headers[index] === 'x-forwarded-for') for (const entry of value.split(',')) chain.push(entry.trim())
    else if (headers[index] === 'x-forwarded-host') host = host === '' ? value : LIST
    else if (headers[index] === 'x-forwarded-proto') scheme = scheme === '' ? value.toLowerCase() : LIST
  }
  return { chain, host, scheme }
}

/** Null when it is no address. With or without brackets and port. */
function bytesOf(entry: string): Uint8Array | null {
  const match = WITH_PORT.exec(entry)
  return parseAddress(match?.[1] ?? match?.[2] ?? entry)
}

/** However a proxy spells it, one caller is one: in records, and as a sticky key. */
function textOf(entry: string): string {
  const bytes = bytesOf(entry)
  return bytes === null ? entry : addressText(bytes)
}
