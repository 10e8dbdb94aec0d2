import { Worker } from 'node:worker_threads'
import t from 'tap'
import { UNITS_PER_REQUEST, unitsAt } from '../../src/callers/bucket.ts'
import {
  BUCKETS_MAX,
  BUCKETS_PER_LIMIT_MAX,
  BUCKETS_PER_LIMIT_MIN,
  BucketTable,
  bucketMemory,
  bucketsPerLimit,
  LATE_MS_MAX,
  WAYS,
} from '../../src/callers/bucket-table.ts'
import type { RateLimit } from '../../src/domain/routes.ts'
import { hashOf } from '../../src/kernel/hash64.ts'
import type { Count } from './bucket-thread.ts'

const limitOf = (more: Partial<RateLimit> = {}): RateLimit => ({
  index: 0,
  name: 'l',
  requests: 100,
  perMs: 1000,
  burst: 200,
  by: [{ from: 'client' }],
  ...more,
})
const LIMIT = limitOf()
const hash = (caller: string) => hashOf(caller, 7n)
/** Callers that fall into the set of `like`, and are not it. */
const inSetOf = (like: bigint, tag: number) => (BigInt(tag) << 36n) | (like & 0xffff_ffffn)

const taken = (table: BucketTable, caller: bigint, now: number, times: number) =>
  Array.from({ length: times }, () => table.take(LIMIT, caller, now).isAdmitted).filter(Boolean).length

t.test('each caller has a bucket of its own under each limit', async (t) => {
  const table = new BucketTable(bucketMemory(2), 2)
  const other = limitOf({ index: 1, burst: 3 })
  t.equal(taken(table, hash('ana'), 1000, 250), 200)
  t.equal(taken(table, hash('bo'), 1000, 250), 200, 'what one used up, another has still')
  const under = Array.from({ length: 9 }, () => table.take(other, hash('ana'), 1000).isAdmitted)
  t.equal(under.filter(Boolean).length, 3, 'the other limit has not seen it yet')
  t.equal(table.take(LIMIT, hash('ana'), 1000 + UNITS_PER_REQUEST).isAdmitted, true, 'time pays')
})

t.test('the accuracy of 10 s at three times the rate holds over the table, too', async (t) => {
  const table = new BucketTable(bucketMemory(1), 1)
  let admitted = 0
  for (let index = 0; index < 3000; index += 1) {
    const now = unitsAt(9e9 + index * (10_000 / 3000), LIMIT)
    if (table.take(LIMIT, hash('ana'), now).isAdmitted) admitted += 1
  }
  t.ok(Math.abs(admitted - 1200) <= 1, `${admitted} of 1200`)
})

t.test('what is given back can be taken again, and no more than that', async (t) => {
  const table = new BucketTable(bucketMemory(1), 1)
  t.equal(taken(table, hash('ana'), 1000, 201), 200)
  table.giveBack(LIMIT, hash('ana'))
  t.equal(taken(table, hash('ana'), 1000, 5), 1)
  table.giveBack(LIMIT, hash('nobody'))
})

t.test(
  'in a full set the caller with the least debt gives way, and gains at most what it used',
  async (t) => {
    const table = new BucketTable(bucketMemory(1), 1)
    const callers = Array.from({ length: WAYS + 1 }, (_, index) => inSetOf(5n, index + 1))
    for (const [index, caller] of callers.slice(0, WAYS).entries()) taken(table, caller, 0, 10 + index)
    const last = table.take(LIMIT, callers[WAYS]!, 0)
    t.match(last, { isAdmitted: true, debt: UNITS_PER_REQUEST, isReplaced: true })
    t.equal(table.take(LIMIT, callers[1]!, 0).debt, 12 * UNITS_PER_REQUEST, 'the others are as they were')
    t.equal(table.take(LIMIT, callers[7]!, 0).debt, 18 * UNITS_PER_REQUEST)
    t.equal(table.take(LIMIT, callers[0]!, 0).debt, UNITS_PER_REQUEST, 'the one that gave way begins anew')
    const paid = 1_000_000
    t.equal(table.take(LIMIT, inSetOf(5n, 99), paid).isReplaced, false, 'who owes nothing loses nothing')
  },
)

t.test(
  'ever new callers take no more memory than was there, and one over its limit stays there',
  async (t) => {
    const memory = bucketMemory(1)
    const table = new BucketTable(memory, 1)
    t.equal(memory.byteLength, BUCKETS_PER_LIMIT_MAX * 8)
    const greedy = hash('greedy')
    t.equal(taken(table, greedy, 0, 300), 200)
    const before = process.memoryUsage().heapUsed
    let admitted = 0
    for (let index = 0; index < 400_000; index += 1) {
      // All within one second: nobody has paid anything yet.
      if (table.take(LIMIT, hash(`caller ${index}`), 1).isAdmitted) admitted += 1
    }
    t.equal(admitted, 400_000, 'nobody pays for another')
    t.ok(process.memoryUsage().heapUsed - before < 50 * 1024 * 1024)
    t.equal(taken(table, greedy, 1, 10), 0, 'it owes the most of its set, so it is kept')
  },
)

t.test('instants wrap without letting anybody in or out', async (t) => {
  const table = new BucketTable(bucketMemory(1), 1)
  const edge = 2 ** 36 - 5
  t.equal(taken(table, hash('ana'), edge, 300), 200)
  t.equal(taken(table, hash('ana'), edge + 3 * UNITS_PER_REQUEST, 300), 3)
  t.equal(taken(table, hash('ana'), edge + 2 ** 35, 300), 200, 'paid long ago')
})

t.test('many limits share what there is, and each has its minimum', async (t) => {
  t.equal(bucketsPerLimit(0), BUCKETS_PER_LIMIT_MAX)
  t.equal(bucketsPerLimit(8), BUCKETS_MAX / 8)
  t.equal(bucketsPerLimit(9), BUCKETS_MAX / 16)
  t.equal(bucketsPerLimit(10_000), BUCKETS_PER_LIMIT_MIN)
  t.equal(bucketMemory(10_000).byteLength, 10_000 * BUCKETS_PER_LIMIT_MIN * 8)
})

t.test('a lane that is late finds what another wrote meanwhile, and lets nobody in for it', async (t) => {
  const table = new BucketTable(bucketMemory(1), 1)
  const now = unitsAt(5_000_000, LIMIT)
  t.equal(taken(table, hash('ana'), now, 300), 200)
  t.equal(taken(table, hash('ana'), unitsAt(5_000_000 - LATE_MS_MAX / 2, LIMIT), 300), 0)
  t.equal(taken(table, hash('ana'), now, 300), 0)
})

t.test('two lanes that meet a new caller at the same time give it one bucket', async (t) => {
  const memory = bucketMemory(1)
  const limit = limitOf({ burst: 1 })
  const [one, other] = [new BucketTable(memory, 1), new BucketTable(memory, 1)]
  const words = new BigUint64Array(memory)
  // The other lane takes when the first has found no bucket and begins to look for a place.
  const atomics = Atomics as { load: (array: BigUint64Array, at: number) => unknown }
  const { load } = atomics
  t.teardown(() => {
    atomics.load = load
  })
  const admitted: boolean[] = []
  atomics.load = (array, at) => {
    if (array instanceof BigUint64Array) {
      atomics.load = load
      admitted.push(other.take(limit, hash('ana'), 1000).isAdmitted)
    }
    return load(array, at)
  }
  admitted.push(one.take(limit, hash('ana'), 1000).isAdmitted)
  t.same(admitted, [true, false])
  t.equal(words.filter((word) => word !== 0n).length, 1)
})

t.test('threads that take at the same time let in what one alone would, for each caller', async (t) => {
  const limit = limitOf({ requests: 20_000, burst: 2000 })
  const memory = bucketMemory(1)
  const hashes = [hash('ana'), ...Array.from({ length: 5 }, (_, index) => inSetOf(hash('ana'), index + 1))]
  const work = { memory, limit, hashes, forMs: 400 }
  const threads = [0, 1].map(
    () => new Worker(new URL('./bucket-thread.js', import.meta.url), { workerData: work }),
  )
  const told = (thread: Worker) => new Promise<unknown>((resolve) => thread.once('message', resolve))
  await Promise.all(threads.map(told))
  const counts = threads.map((thread) => told(thread) as Promise<Count[]>)
  for (const thread of threads) thread.postMessage('go')
  const [one, two] = (await Promise.all(counts)) as [Count[], Count[]]
  for (const index of hashes.keys()) {
    const [mine, yours] = [one[index]!, two[index]!]
    const units = Math.max(mine.to, yours.to) - Math.min(mine.from, yours.from)
    const expected = 2000 + units / UNITS_PER_REQUEST
    const both = mine.admitted + yours.admitted
    t.ok(both <= expected + 1, `${both} of at most ${expected}`)
    // A machine that is busy elsewhere may not let them ask so often; but nobody is refused before the burst is used.
    t.ok(mine.refused + yours.refused === 0 || both >= 2000, `${both} before the first was refused`)
  }
})
