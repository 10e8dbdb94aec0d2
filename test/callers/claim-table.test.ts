import { Worker } from 'node:worker_threads'
import t from 'tap'
import {
  CLAIMS_MAX,
  type Claim,
  type Claimed,
  ClaimTable,
  claimMemory,
  LANES_MAX,
  LEASE_MS,
} from '../../src/callers/claim-table.ts'
import { hashOf } from '../../src/kernel/hash64.ts'

const KEY = hashOf('a key', 3n)
/** Other keys of the same set. */
const beside = (tag: number) => (BigInt(tag) << 26n) | (KEY & 0x3ff_ffffn)

const mineOf = (claimed: Claimed): Claim => {
  if (claimed.kind !== 'mine') throw new Error(`it is ${claimed.kind}`)
  return claimed.claim
}

t.test('a key is claimed by one lane, kept by it, and free again when it lets go', async (t) => {
  const memory = claimMemory()
  const [one, two] = [new ClaimTable(memory, 0), new ClaimTable(memory, LANES_MAX - 1)]
  const claim = mineOf(two.claim(KEY, 5000))
  t.same(one.claim(KEY, 5000), { kind: 'under-way' })
  t.same(two.claim(KEY, 5000), { kind: 'under-way' }, 'for the lane itself, too')
  const kept = two.keep(claim, 5000 + 60_000)!
  t.match(one.claim(KEY, 5001), { kind: 'kept', lane: LANES_MAX - 1 })
  t.equal(two.keep(claim, 99_000), null, 'a claim is spent with its end')
  two.release(kept)
  t.equal(one.claim(KEY, 5002).kind, 'mine')
})

t.test('what is kept ends with its time, and what is under way with its lease', async (t) => {
  const table = new ClaimTable(claimMemory(), 0)
  const now = 1e9
  table.keep(mineOf(table.claim(KEY, now)), now + 60_000)
  t.equal(table.claim(KEY, now + 59_000).kind, 'kept')
  t.equal(table.claim(KEY, now + 60_000 + 16_000).kind, 'mine')
  const later = now + 80_000
  t.equal(table.claim(KEY, later + LEASE_MS - 20_000).kind, 'under-way')
  t.equal(
    table.claim(KEY, later + LEASE_MS + 16_000).kind,
    'mine',
    'a lane that died does not hold it for ever',
  )
})

t.test('a day is long enough to be told from an hour ago', async (t) => {
  const table = new ClaimTable(claimMemory(), 0)
  for (const now of [1000, 16_000 * 2 ** 14 - 500, 1e12]) {
    const key = hashOf(String(now), 1n)
    table.keep(mineOf(table.claim(key, now)), now + 86_400_000)
    t.equal(table.claim(key, now + 86_300_000).kind, 'kept', `${now}`)
    t.equal(table.claim(key, now + 86_400_000 + 16_000).kind, 'mine', `${now}`)
  }
})

t.test(
  'in a full set the kept answer that ends first gives way, and what is under way never does',
  async (t) => {
    const table = new ClaimTable(claimMemory(), 0)
    const claims = Array.from({ length: 8 }, (_, index) => mineOf(table.claim(beside(index + 1), 0)))
    t.same(table.claim(beside(9), 0), { kind: 'full' })
    for (const [index, claim] of claims.entries()) {
      if (index > 0) table.keep(claim, 1_000_000 - index * 100_000)
    }
    const ninth = mineOf(table.claim(beside(9), 0))
    t.equal(ninth.hasReplaced, true)
    t.equal(table.claim(beside(1), 0).kind, 'under-way')
    t.equal(table.claim(beside(2), 0).kind, 'kept')
    t.equal(table.claim(beside(8), 0).kind, 'mine', 'it was forgotten')
  },
)

t.test('a lane that is started anew holds nothing, and others keep what they hold', async (t) => {
  const memory = claimMemory()
  const [one, two] = [new ClaimTable(memory, 0), new ClaimTable(memory, 1)]
  const lost = mineOf(one.claim(KEY, 0))
  one.keep(mineOf(one.claim(beside(2), 0)), 60_000)
  two.keep(mineOf(two.claim(beside(3), 0)), 60_000)
  const anew = new ClaimTable(memory, 0)
  anew.disown()
  t.equal(two.claim(beside(3), 0).kind, 'kept')
  const now = mineOf(two.claim(KEY, 0))
  t.equal(one.keep(lost, 60_000), null, 'the old thread, ending late, changes nothing')
  one.release(lost)
  t.equal(two.claim(beside(2), 0).kind, 'mine')
  t.ok(two.keep(now, 60_000))
})

t.test('whose answer is nowhere any more is taken over by one', async (t) => {
  const memory = claimMemory()
  const [one, two] = [new ClaimTable(memory, 0), new ClaimTable(memory, 1)]
  one.keep(mineOf(one.claim(KEY, 0)), 60_000)
  const [mine, yours] = [one.claim(KEY, 0), two.claim(KEY, 0)]
  if (mine.kind !== 'kept' || yours.kind !== 'kept') throw new Error('it is kept')
  t.ok(two.takeOver(yours.claim, 0))
  t.equal(one.takeOver(mine.claim, 0), null)
})

t.test('the table has a size, whatever comes', async (t) => {
  const memory = claimMemory()
  t.equal(memory.byteLength, CLAIMS_MAX * 8)
  const table = new ClaimTable(memory, 0)
  let kept = 0
  for (let index = 0; index < 150_000; index += 1) {
    const claim = mineOf(table.claim(hashOf(`k${index}`, 1n), 0))
    if (table.keep(claim, 60_000)) kept += 1
  }
  t.equal(kept, 150_000, 'every new key finds room')
})

t.test('threads that claim the same keys at the same time never hold one together', async (t) => {
  const memory = claimMemory()
  const keys = [KEY, ...Array.from({ length: 5 }, (_, index) => beside(index + 1))]
  const lets = new SharedArrayBuffer(4 * keys.length)
  const threads = [0, 1, 2].map(
    (lane) =>
      new Worker(new URL('./claim-thread.js', import.meta.url), { workerData: { memory, lane, keys, lets } }),
  )
  const told = (thread: Worker) => new Promise<unknown>((resolve) => thread.once('message', resolve))
  await Promise.all(threads.map(told))
  const ends = threads.map((thread) => told(thread) as Promise<{ mine: number; clashes: number }>)
  for (const thread of threads) thread.postMessage('go')
  const counts = await Promise.all(ends)
  t.equal(
    counts.reduce((sum, { clashes }) => sum + clashes, 0),
    0,
  )
  for (const { mine } of counts) t.ok(mine > 0)
})
