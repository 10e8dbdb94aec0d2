/**
 * A loopback port on which nobody listens and nobody will while the test runs: it is the near end of a
 * connection that is kept open, so the kernel gives it to no other listener.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { Test } from 'tap'

export async function unusedPort(t: Pick<Test, 'teardown'>): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const holder = connect((server.address() as AddressInfo).port, '127.0.0.1')
  await Promise.all([once(holder, 'connect'), once(server, 'connection')])
  t.teardown(() => {
    holder.destroy()
    server.close()
  })
  return holder.localPort!
}
