/** An entrance on this thread, before one server of this thread: for tests of what is behind it. */
import { ConnectionCounts } from '../../src/accept/connection-counts.ts'
import { Entrance } from '../../src/accept/entrance.ts'
import type { Uws } from '../../src/accept/load-uws.ts'
import type { ServerDescriptor } from '../../src/domain/lane-server.ts'
import { systemClock } from '../../src/kernel/clock.ts'

export interface OpenEntrance {
  readonly port: number
  /** Connections go to this one from now on. */
  lead(server: ServerDescriptor): void
}

export async function openEntrance(
  t: { teardown(end: () => void): void },
  uws: Uws,
  server: ServerDescriptor,
  { isSecure = false, host = '127.0.0.1', port = 0 } = {},
): Promise<OpenEntrance> {
  const counts = new ConnectionCounts(ConnectionCounts.memoryFor(1))
  const entrance = new Entrance({ uws, isSecure, counts, clock: systemClock })
  t.teardown(() => entrance.close())
  const lead = (to: ServerDescriptor) => entrance.admit([{ server: to, seat: 0 }])
  lead(server)
  return { port: await entrance.listen({ host, port }), lead }
}
