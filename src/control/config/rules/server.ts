/** Addresses of the process: two different ones, and the admin side out of reach of other machines. */
import { isLoopback } from '../address.ts'
import type { Report } from '../problem.ts'
import type { Checked } from '../schema.ts'

export function checkServer({ server }: Checked, report: Report): void {
  const { listen, admin } = server
  if (!isLoopback(admin.host)) {
    report({
      severity: 'error',
      at: ['server', 'admin'],
      on: 'value',
      message: `${admin.host} can be reached from other machines, and the admin API has no tokens yet`,
      expected: 'an address of this machine only: "127.0.0.1:PORT", "[::1]:PORT" or "localhost:PORT"',
      suggestion:
        listen.port === admin.port && overlap(listen.host, '127.0.0.1')
          ? undefined
          : JSON.stringify(`127.0.0.1:${admin.port}`),
    })
  }
  if (listen.port !== 0 && listen.port === admin.port && overlap(listen.host, admin.host)) {
    report({
      severity: 'error',
      at: ['server', 'admin'],
      on: 'value',
      message: 'the admin address is the inference address',
      expected: 'another port than server.listen',
    })
  }
}

const ANY = new Set(['0.0.0.0', '::'])

function overlap(left: string, right: string): boolean {
  return left === right || ANY.has(left) || ANY.has(right)
}
