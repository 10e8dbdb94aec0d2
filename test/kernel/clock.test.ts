import { Worker } from 'node:worker_threads'
import t from 'tap'
import { systemClock } from '../../src/kernel/clock.ts'

t.test('what the clock says is the same in all threads', async (t) => {
  const thread = new Worker(new URL('../support/clock-thread.js', import.meta.url))
  t.teardown(() => thread.terminate())
  const answer = () => new Promise<number>((resolve) => thread.once('message', resolve))
  await answer()
  for (let time = 0; time < 3; time += 1) {
    const before = systemClock.now()
    const between = answer()
    thread.postMessage('what time is it?')
    const there = await between
    const after = systemClock.now()
    // A thread with a beginning of its own would be behind by the age of this process.
    t.ok(before <= there && there <= after, `${before} ≤ ${there} ≤ ${after}`)
  }
})
