/** Vitals as the pipeline uses them: tickets, dry-run, announcements. */
import t from 'tap'
import type { Version } from '../../src/domain/routes.ts'
import type { LaneAnnouncement } from '../../src/observe/announcements.ts'
import { CHANGES_KEPT, Vitals } from '../../src/observe/vitals.ts'
import { LoadedChance } from '../support/loaded-chance.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { makeSnapshot } from './make-snapshot.ts'

function makeVitals(enforce = true) {
  const clock = new ManualClock()
  const announced: LaneAnnouncement[] = []
  const snapshot = makeSnapshot({ enforce, probes: 2 })
  const vitals = new Vitals({
    snapshot,
    clock,
    chance: new LoadedChance(0.5),
    announce: (announcement) => announced.push(announcement),
  })
  const version = snapshot.versions[0]!
  const fail = (): void => {
    for (let time = 0; time < 5; time += 1) end(vitals, version, 'failure', clock)
  }
  return { clock, announced, vitals, version, fail }
}

function end(
  vitals: Vitals,
  version: Version,
  verdict: 'success' | 'failure' | 'neutral',
  clock: ManualClock,
) {
  const ticket = vitals.admit(version, clock.now())
  if (ticket !== null) vitals.settle(ticket, verdict, 5, clock.now())
  return ticket !== null
}

t.test('five failures close the door of that version only; probes open it again', async (t) => {
  const { clock, vitals, version, fail } = makeVitals()
  const other = makeSnapshot().versions[1]!
  fail()
  t.equal(vitals.admit(version, clock.now()), null)
  t.ok(vitals.admit(other, clock.now()), 'the other version is served')
  t.equal(vitals.retryAfterMs(version, clock.now()), 1000)
  t.equal(vitals.view.breakerOf(version, clock.now()), 'open')
  clock.advance(400)
  t.equal(vitals.retryAfterMs(version, clock.now()), 600)
  clock.advance(600)
  t.equal(vitals.view.breakerOf(version, clock.now()), 'half-open')
  const first = vitals.admit(version, clock.now())!
  const second = vitals.admit(version, clock.now())!
  t.equal(vitals.admit(version, clock.now()), null, 'two probes, no third')
  t.ok(vitals.retryAfterMs(version, clock.now()) > 0)
  vitals.settle(first, 'neutral', 5, clock.now())
  const third = vitals.admit(version, clock.now())!
  t.ok(third, 'a neutral probe gave its slot back')
  vitals.settle(second, 'success', 5, clock.now())
  vitals.settle(third, 'success', 5, clock.now())
  t.equal(vitals.view.breakerOf(version, clock.now()), 'closed')
  t.equal(vitals.retryAfterMs(version, clock.now()), 0)
})

t.test('results of requests let in before a change say nothing about the state after it', async (t) => {
  const { clock, vitals, version, fail } = makeVitals()
  const late = Array.from({ length: 10 }, () => vitals.admit(version, clock.now())!)
  fail()
  vitals.settle(late[0]!, 'success', 5, clock.now())
  vitals.settle(late[1]!, 'failure', 5, clock.now())
  t.equal(vitals.view.breakerOf(version, clock.now()), 'open')
  clock.advance(1000)
  const probes = [vitals.admit(version, clock.now())!, vitals.admit(version, clock.now())!]
  vitals.settle(late[2]!, 'failure', 5, clock.now())
  vitals.settle(late[3]!, 'success', 5, clock.now())
  t.equal(vitals.view.breakerOf(version, clock.now()), 'half-open')
  for (const probe of probes) vitals.settle(probe, 'success', 5, clock.now())
  for (const ticket of late.slice(4)) vitals.settle(ticket, 'failure', 5, clock.now())
  t.equal(vitals.view.breakerOf(version, clock.now()), 'closed')
})

t.test('in dry-run every transition is computed and told, and everything passes', async (t) => {
  const { clock, vitals, version, fail } = makeVitals(false)
  fail()
  t.equal(vitals.view.breakerOf(version, clock.now()), 'open')
  t.ok(end(vitals, version, 'success', clock), 'open, and yet it passes')
  clock.advance(1000)
  for (let time = 0; time < 8; time += 1)
    t.ok(vitals.admit(version, clock.now()), 'more than there are probes')
  t.equal(vitals.view.breakerOf(version, clock.now()), 'half-open')
  t.same(
    vitals.changes.map(({ from, to, enforced }) => [from, to, enforced]),
    [
      ['closed', 'open', false],
      ['open', 'half-open', false],
    ],
  )
})

t.test('a change is announced with its reason, and the latest are kept', async (t) => {
  const { clock, announced, vitals, version, fail } = makeVitals()
  fail()
  t.same(announced[0], { kind: 'slab', buffer: vitals.slab.buffer }, 'the slab is announced first')
  t.same(announced[1], {
    kind: 'breaker',
    change: {
      model: 'fraud',
      version: 'v1',
      from: 'closed',
      to: 'open',
      why: '5 requests failed in a row (limit 5); open for 1 s',
      at: clock.wall(),
      enforced: true,
      epoch: 1,
    },
  })
  for (let round = 0; round < CHANGES_KEPT; round += 1) {
    clock.advance(100_000)
    end(vitals, version, 'failure', clock)
  }
  t.equal(vitals.changes.length, CHANGES_KEPT)
  t.equal(vitals.changes.at(-1)?.at, clock.wall())
})

t.test('a ticket is settled once', async (t) => {
  const { clock, vitals, version } = makeVitals()
  const ticket = vitals.admit(version, clock.now())!
  vitals.settle(ticket, 'success', 5, clock.now())
  t.throws(() => vitals.settle(ticket, 'success', 5, clock.now()), /settled once/)
})
