/**
 * Which Host headers the admin server answers. A web page can make a browser send requests to any
 * address, and can give its own name our address (DNS rebinding) to read the answers; but then the Host
 * header carries that name. An address in figures cannot be rebound.
 */
const LOCAL = ['localhost', '127.0.0.1', '[::1]']
/** Listening everywhere: the operator expects to be reached under any address of the machine. */
const UNSPECIFIED = ['0.0.0.0', '::', '[::]']

/** `host`: the Host header, undefined when absent. `listenHost`: as configured. */
export function isHostAllowed(host: string | undefined, listenHost: string): boolean {
  const name = nameOf(host)
  if (name === null) return false
  if (LOCAL.includes(name)) return true
  if (UNSPECIFIED.includes(listenHost)) return isAddress(name)
  const own = listenHost.toLowerCase()
  return name === own || name === `[${own}]`
}

/** Without the port; null when it is no host at all. */
function nameOf(host: string | undefined): string | null {
  const parts = /^(\[[0-9a-f:.]+\]|[^:[\]/@\s]+)(?::\d{1,5})?$/i.exec(host ?? '')
  return parts === null ? null : parts[1]!.toLowerCase()
}

function isAddress(name: string): boolean {
  return name.startsWith('[') || /^\d{1,3}(\.\d{1,3}){3}$/.test(name)
}
