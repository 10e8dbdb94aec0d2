import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { systemClock } from '../../src/kernel/clock.ts'
import { LATE_MS, Sweep } from '../../src/kernel/sweep.ts'

const BUSY_MS = 200

function keepBusy(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

const entry = () => ({ dueAt: Number.POSITIVE_INFINITY, slot: -1, expire: () => {} })

t.test('what the loop was held up is counted, at once and after the next tick', async (t) => {
  const sweep = new Sweep(systemClock)
  const before = sweep.heldUpMs(systemClock.now())
  sweep.watch(entry())
  t.teardown(() => sweep.stop())
  await pause(50)
  const atStart = sweep.heldUpMs(systemClock.now())
  keepBusy(BUSY_MS)
  const atOnce = sweep.heldUpMs(systemClock.now()) - atStart
  await pause(50)
  const later = sweep.heldUpMs(systemClock.now()) - atStart
  t.ok(atOnce >= BUSY_MS - 2 * LATE_MS, `${atOnce} of ${BUSY_MS} ms before the tick`)
  t.ok(later >= BUSY_MS - 2 * LATE_MS, `${later} of ${BUSY_MS} ms after it`)
  t.equal(before, 0)
})

t.test('while nothing is watched nothing is counted', async (t) => {
  const sweep = new Sweep(systemClock)
  keepBusy(BUSY_MS)
  t.equal(sweep.heldUpMs(systemClock.now()), 0)
  sweep.watch(entry())
  sweep.stop()
  keepBusy(BUSY_MS)
  t.equal(sweep.heldUpMs(systemClock.now()), 0)
})
