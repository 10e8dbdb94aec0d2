/**
 * The grammar of a Host header (RFC 9110 §7.2, RFC 3986 §3.2.2): a name or an address and perhaps a port.
 * No user name, no path, no port beyond 65535, and no comma, although the grammar has it: endpoints get the host as
 * x-forwarded-host, where it would part two. So nobody behind the gateway can read another host in it.
 */

/** The longest DNS name, and `:65535`. */
const HOST_CHARACTERS_MAX = 253 + 6
const HOST = /^(?:(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+|(\[[0-9A-Fa-f:.]+\]))(?::([0-9]{1,5}))?$/

/** Callers name one or few hosts all day, so the last good one is not read again. */
let lastGood = ''

export function isHost(text: string): boolean {
  if (text === lastGood && text !== '') return true
  if (text.length > HOST_CHARACTERS_MAX) return false
  const match = HOST.exec(text)
  if (match === null) return false
  const [, bracketed, port] = match
  if (port !== undefined && Number(port) > 65_535) return false
  if (bracketed !== undefined && !URL.canParse(`http://${bracketed}/`)) return false
  lastGood = text
  return true
}
