/**
 * A lane's thread that a test can break: told by its seat, it throws where nobody catches, or stands still until it is woken.
 * Apart from that it is the lane itself.
 */
import { workerData } from 'node:worker_threads'
import type { LaneStart } from '../../src/lane-messages.ts'

const { seat } = workerData as LaneStart
const orders = new BroadcastChannel('break-lanes')
orders.onmessage = ({ data }: { data: unknown }) => {
  const order = data as { readonly seat: number; readonly until: Int32Array | null }
  if (order.seat !== seat) return
  if (order.until !== null) {
    Atomics.wait(order.until, 0, 0)
    return
  }
  const secret = 'what a caller sent'
  throw new TypeError(`cannot go on with ${secret}`)
}
;(orders as unknown as { unref(): void }).unref()

// Behind it: a lane that says that it is prepared may be broken from then on.
await import('../../src/lane.ts')
