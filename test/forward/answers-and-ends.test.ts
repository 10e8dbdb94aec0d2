/** Answers beside the end of their connection: what the kernel reports of both is not what happened. */
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { endpointAt } from '../support/endpoint-at.ts'
import { Carrier, textOf, versionOf } from './carry.ts'

t.test('a reset right behind the last bytes is no end of an answer, though it looks like one', async (t) => {
  // On a thread of its own: only then both arrive together.
  const thread = new Worker(new URL('../support/ending-endpoint-thread.js', import.meta.url))
  const [port] = (await once(thread, 'message')) as [number]
  const carry = new Carrier()
  t.teardown(async () => {
    carry.close()
    thread.postMessage('end')
    await once(thread, 'exit')
  })
  const version = versionOf(endpointAt('127.0.0.1', port))
  for (let round = 0; round < 100; round += 1) {
    const reset = await carry.send(version, { target: '/reset' }).result
    t.equal(reset.fault?.code, 'truncated-answer')
    t.equal(textOf(await carry.send(version, { target: '/finish' }).result), 'until the end')
  }
})

t.test(
  'an answer that comes before the request was taken is read, whatever the kernel says of the rest',
  async (t) => {
    const thread = new Worker(new URL('../support/ending-endpoint-thread.js', import.meta.url))
    const [port] = (await once(thread, 'message')) as [number]
    const carry = new Carrier()
    t.teardown(async () => {
      carry.close()
      thread.postMessage('end')
      await once(thread, 'exit')
    })
    const version = versionOf(endpointAt('127.0.0.1', port))
    const body = Buffer.alloc(2 * 1024 * 1024)
    let read = 0
    for (let round = 0; round < 1_000; round += 1) {
      const result = await carry.send(version, { target: '/early', body }).result
      if (result.answer?.status === 413 && textOf(result) === 'too large') read += 1
    }
    t.equal(read, 1_000)
  },
)
