/**
 * Whether an address is free. The server binds its port so that others may, too (SO_REUSEPORT): a second gateway of
 * the same user would silently take half of the first one's callers. A plain bind, as
 * done here, is refused by the kernel as long as anybody listens.
 */
import { createServer } from 'node:net'
import type { HostPort } from '../domain/routes.ts'

/** Resolves to null when free, else to the problem in words. `key` is the configuration's name for it. */
export function probePort({ host, port }: HostPort, key: string): Promise<string | null> {
  if (port === 0) return Promise.resolve(null)
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(problemOf(error, `${host}:${port}`, key)))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

function problemOf(error: NodeJS.ErrnoException, address: string, key: string): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `${address} is taken by another process; stop it or change ${key}`
    case 'EADDRNOTAVAIL':
      return `${address} is not an address of this machine; change ${key}`
    case 'EACCES':
      return `this user may not listen on ${address}; change ${key}`
    default:
      return `cannot listen on ${address} (${key}): ${error.message}`
  }
}
