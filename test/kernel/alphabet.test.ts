import { setTimeout as wait } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { assert, unreachable } from '../../src/kernel/assert.ts'
import { systemChance } from '../../src/kernel/chance.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { entryBeside } from '../../src/kernel/entry.ts'
import { pointOf } from '../../src/kernel/hash64.ts'
import { laneShare } from '../../src/kernel/lane-share.ts'
import { nearestName } from '../../src/kernel/nearest-name.ts'
import { RequestIds } from '../../src/kernel/request-id.ts'
import { Sweep, type Watched } from '../../src/kernel/sweep.ts'
import { ManualClock } from '../support/manual-clock.ts'

t.test('a broken invariant throws and says which', async (t) => {
  assert(1, 'never thrown')
  t.throws(() => assert(0, 'one is one'), { message: 'broken invariant: one is one' })
  t.throws(() => unreachable({ kind: 'new' } as never), /unexpected \{"kind":"new"\}/)
})

t.test('the system’s clock moves on and its wall time is the time of day', async (t) => {
  const before = systemClock.now()
  t.ok(systemClock.now() >= before)
  t.ok(Math.abs(systemClock.wall() - Date.now()) < 1000)
})

t.test('the system’s chance stays in [0, 1) and is not one number', async (t) => {
  const drawn = Array.from({ length: 100 }, () => systemChance.next())
  t.ok(drawn.every((number) => number >= 0 && number < 1))
  t.ok(new Set(drawn).size > 90)
})

t.test('a thread’s entry has the ending of the file that starts it', async (t) => {
  t.equal(entryBeside('file:///a/build/pool.js', 'tasks/score').href, 'file:///a/build/tasks/score.js')
  t.equal(entryBeside('file:///a/src/pool.ts', '../lane').href, 'file:///a/lane.ts')
})

t.test('a key’s point is the upper 53 bits of its XXH64, as the reference vectors have it', async (t) => {
  const vectors: [string, bigint][] = [
    ['', 0xef46db3751d8e999n],
    ['a', 0xd24ec4f1a98c6e5bn],
    ['abc', 0x44bc2cf5ad770999n],
  ]
  for (const [text, hash] of vectors) t.equal(pointOf(text), Number(hash >> 11n) / 2 ** 53, `"${text}"`)
})

t.test('a misspelt name finds the one that was meant, and nothing finds nothing', async (t) => {
  t.equal(nearestName('fruad', ['price', 'fraud']), 'fraud')
  t.equal(nearestName('frau', ['fraud', 'freu']), 'fraud', 'the first of equally near ones')
  t.equal(nearestName('zzzzz', ['price', 'fraud']), null)
  t.equal(nearestName('x'.repeat(65), ['x'.repeat(65)]), null, 'over-long names are not compared')
})

t.test('ids are UUIDv7: their time leads, and no two are equal', async (t) => {
  const ids = new RequestIds()
  const at = Date.UTC(2026, 10, 1)
  const made = Array.from({ length: 10_000 }, (_, index) => ids.next(at + Math.floor(index / 100)))
  t.equal(new Set(made).size, made.length)
  for (const id of [made[0]!, made.at(-1)!]) {
    t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  }
  t.equal(Number.parseInt(made[0]!.replaceAll('-', '').slice(0, 12), 16), at)
})

t.test('two lanes with different seeds never make the same id, whatever their counters', async (t) => {
  const seed = fc.uint8Array({ minLength: 6, maxLength: 6 })
  const law = () =>
    fc.assert(
      fc.property(seed, seed, (left, right) => {
        fc.pre(!Buffer.from(left.subarray(0, 4)).equals(Buffer.from(right.subarray(0, 4))))
        return new RequestIds(left).next(1) !== new RequestIds(right).next(1)
      }),
    )
  t.doesNotThrow(law)
})

class Wait implements Watched {
  slot = -1
  readonly expiredAt: number[] = []
  dueAt: number
  constructor(dueAt: number) {
    this.dueAt = dueAt
  }
  expire(now: number): void {
    this.expiredAt.push(now)
  }
}

t.test('a deadline fires once, when due and never before', async (t) => {
  const clock = new ManualClock()
  const sweep = new Sweep(clock)
  t.teardown(() => sweep.stop())
  const waits = [5, 10, Number.POSITIVE_INFINITY].map((after) => new Wait(clock.now() + after))
  for (const one of waits) sweep.watch(one)
  sweep.watch(waits[0]!)
  t.equal(sweep.size, 3, 'watching twice changes nothing')

  sweep.run()
  t.ok(waits.every(({ expiredAt }) => expiredAt.length === 0))
  clock.advance(7)
  sweep.run()
  clock.advance(7)
  sweep.run()
  t.strictSame(
    waits.map(({ expiredAt }) => expiredAt.length),
    [1, 1, 0],
  )
  t.equal(sweep.size, 1)
})

t.test('what is watched and unwatched in any order stays watched or not', async (t) => {
  const clock = new ManualClock()
  const law = () =>
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(7), fc.boolean())), (steps) => {
        const sweep = new Sweep(clock)
        const waits = Array.from({ length: 8 }, () => new Wait(clock.now()))
        const watched = new Set<Wait>()
        for (const [index, isWatch] of steps) {
          const one = waits[index]!
          if (isWatch) sweep.watch(one)
          else sweep.unwatch(one)
          if (isWatch) watched.add(one)
          else watched.delete(one)
        }
        const sizeBefore = sweep.size
        sweep.run()
        return (
          sizeBefore === watched.size &&
          sweep.size === 0 &&
          waits.every((one) => one.expiredAt.length === (watched.has(one) ? 1 : 0))
        )
      }),
    )
  t.doesNotThrow(law)
})

t.test('an entry may be watched again while it expires', async (t) => {
  const clock = new ManualClock()
  const sweep = new Sweep(clock)
  t.teardown(() => sweep.stop())
  let times = 0
  const again: Watched = {
    dueAt: clock.now(),
    slot: -1,
    expire(now) {
      times += 1
      this.dueAt = now + 10
      sweep.watch(this)
    },
  }
  sweep.watch(again)
  sweep.run()
  t.equal(times, 1)
  t.equal(sweep.size, 1)
})

t.test('the interval runs by itself while something waits, and only then', async (t) => {
  const sweep = new Sweep(systemClock, 2)
  const soon = new Wait(systemClock.now() + 5)
  sweep.watch(soon)
  for (let turn = 0; turn < 500 && soon.expiredAt.length === 0; turn += 1) await wait(2)
  t.ok(soon.expiredAt[0]! >= soon.dueAt)
  t.equal(sweep.size, 0, 'nothing is left that would keep the process alive')
})

t.test('lanes share a number without going over it, and none is shut out', async (t) => {
  t.equal(laneShare(256, 1), 256)
  t.equal(laneShare(10, 3), 3)
  t.equal(laneShare(1, 4), 1)
})
