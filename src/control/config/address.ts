/**
 * Hosts, listening addresses and endpoint URLs, in one canonical spelling or refused. A host that two
 * parsers could read differently (octal, hexadecimal or short IPv4, zones, NUL, escapes, user names)
 * never gets past this file: what is checked here is exactly what is connected to later.
 *
 * Deterministic: names are not resolved.
 */
import { parseRange } from '../../kernel/address-set.ts'

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string; readonly suggestion?: string | undefined }

export interface Origin {
  readonly scheme: 'http' | 'https' | 'unix'
  readonly host: string
  readonly port: number
  /** Host as it stands in URLs: IPv6 in brackets, port only when it is not the scheme's own. */
  readonly authority: string
  readonly url: string
}

export interface HostAndPort {
  readonly host: string
  readonly port: number
}

const ALLOWED = /^[A-Za-z0-9._:[\]-]+$/
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/
const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`)
const HOST_CHARS_MAX = 253

const refuse = (message: string, suggestion?: string): Parsed<never> => ({ ok: false, message, suggestion })

/** `host:port` or `[ipv6]:port` of a listener. Port 0 asks the system for a free one. */
export function parseListen(text: string): Parsed<HostAndPort> {
  const split = splitHostPort(text)
  if (!split.ok) return split
  if (split.value.port === '') return refuse('the port is missing', `${split.value.host}:8080`)
  const host = canonicalHost(split.value.host)
  if (!host.ok) return host
  const port = canonicalPort(split.value.port, 0)
  return port.ok ? { ok: true, value: { host: host.value, port: port.value } } : port
}

/** An address or a range of them, as written: ranges are compared as bytes, so their spelling does not matter. */
export function parseTrusted(text: string): Parsed<string> {
  const parsed = parseRange(text)
  return parsed.ok ? { ok: true, value: text } : refuse(parsed.message, parsed.suggestion)
}

/** `http://host[:port]`, `https://host[:port]` or `unix:/path`. */
export function parseEndpoint(text: string): Parsed<Origin> {
  if (/^unix:/i.test(text)) return unixSocket(text)
  const match = /^(https?):\/\/(.*)$/is.exec(text)
  if (match === null) {
    const bare = /^[A-Za-z0-9.-]+(:[0-9]+)?$/.test(text)
    return refuse(
      'the endpoint is not an http:// or https:// URL, nor unix:/path',
      bare ? `http://${text}` : undefined,
    )
  }
  const scheme = match[1]!.toLowerCase() as 'http' | 'https'
  const rest = match[2]!
  const excess = excessIn(rest)
  if (excess !== undefined) {
    const origin = rest.slice(rest.lastIndexOf('@') + 1).split(/[/?#]/)[0]!
    const meant = parseEndpoint(
      excess === '' || origin === '' || origin === rest ? '' : `${scheme}://${origin}`,
    )
    return refuse(
      `an endpoint is scheme, host and port; this one has ${excess}`,
      meant.ok ? meant.value.url : undefined,
    )
  }
  const split = splitHostPort(rest)
  if (!split.ok) {
    const { message, suggestion } = split
    return refuse(message, suggestion === undefined ? undefined : `${scheme}://${suggestion}`)
  }
  const host = canonicalHost(split.value.host)
  if (!host.ok) return host
  const own = scheme === 'http' ? 80 : 443
  if (split.value.port === '' && rest.endsWith(':')) return refuse('the port is missing after the colon')
  const port =
    split.value.port === '' ? { ok: true as const, value: own } : canonicalPort(split.value.port, 1)
  if (!port.ok) return port
  const inUrl = host.value.includes(':') ? `[${host.value}]` : host.value
  const authority = port.value === own ? inUrl : `${inUrl}:${port.value}`
  return {
    ok: true,
    value: { scheme, host: host.value, port: port.value, authority, url: `${scheme}://${authority}` },
  }
}

function unixSocket(text: string): Parsed<Origin> {
  const path = text.slice('unix:'.length)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (!path.startsWith('/') || /[\u0000-\u001f\u007f]/.test(path))
    return refuse('a unix: endpoint is unix:/absolute/path')
  return {
    ok: true,
    value: { scheme: 'unix', host: path, port: 0, authority: 'localhost', url: `unix:${path}` },
  }
}

function excessIn(rest: string): string | undefined {
  if (rest.includes('@')) return 'a user name or password'
  if (rest.includes('#')) return 'a fragment'
  if (rest.includes('?')) return 'a query'
  if (rest.includes('/') || rest.includes('\\')) return 'a path'
  return undefined
}

function splitHostPort(text: string): Parsed<{ host: string; port: string }> {
  if (text === '') return refuse('the host is missing')
  // Everything that is no letter, digit or one of `. _ : [ ] -`: blanks, NUL, %zones, escapes, non-ASCII.
  if (!ALLOWED.test(text)) return refuse('the host contains a character that has no place in one')
  const bracketed = /^\[([^[\]]*)\](?::([^:[\]]*))?$/.exec(text)
  if (bracketed !== null) return { ok: true, value: { host: `[${bracketed[1]}]`, port: bracketed[2] ?? '' } }
  const parts = text.split(':')
  if (parts.length > 2) return refuse('an IPv6 address needs brackets', bracketed6(text))
  if (parts[0] === '') return refuse('the host is missing', `127.0.0.1:${parts[1]}`)
  return { ok: true, value: { host: parts[0]!, port: parts[1] ?? '' } }
}

/** `::1:80` is an address and a port, as far as the last part can be one. */
function bracketed6(text: string): string | undefined {
  const last = /^(.+):([0-9]{1,5})$/.exec(text)
  if (last !== null && canonicalIpv6(`[${last[1]}]`).ok) return `[${last[1]}]:${last[2]}`
  return canonicalIpv6(`[${text}]`).ok ? `[${text}]:8080` : undefined
}

function canonicalPort(text: string, min: number): Parsed<number> {
  const port = /^(?:0|[1-9][0-9]{0,4})$/.test(text) ? Number(text) : Number.NaN
  if (port >= min && port <= 65_535) return { ok: true, value: port }
  return refuse(`the port is a whole number from ${min} to 65535, without leading zeros`)
}

/** Lower case; IPv6 without brackets and in its shortest form. */
export function canonicalHost(host: string): Parsed<string> {
  if (host.startsWith('[')) return canonicalIpv6(host)
  const name = host.toLowerCase()
  if (IPV4.test(name)) return { ok: true, value: name }
  const labels = (name.endsWith('.') ? name.slice(0, -1) : name).split('.')
  const last = labels[labels.length - 1]!
  // WHATWG URL and inet_aton read a host whose last label is a number as IPv4, however it is written.
  if (/^(?:[0-9]+|0x[0-9a-f]*)$/.test(last)) {
    return refuse('the IPv4 address is not written as four decimal numbers without leading zeros')
  }
  if (name.length > HOST_CHARS_MAX || !labels.every((label) => LABEL.test(label))) {
    return refuse('the host is neither an IP address nor a DNS name')
  }
  return { ok: true, value: name }
}

function canonicalIpv6(bracketed: string): Parsed<string> {
  const inside = bracketed.slice(1, -1)
  const colons = /^[0-9A-Fa-f:.]+$/.test(inside) && inside.includes(':')
  if (!colons || !URL.canParse(`http://${bracketed}/`)) return refuse('the IPv6 address is malformed')
  return { ok: true, value: new URL(`http://${bracketed}/`).hostname.slice(1, -1) }
}

/** Only this machine can reach it. `host` canonical. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (IPV4.test(host) && host.startsWith('127.'))
}
