import t, { type Test } from 'tap'
import { makeCallerMemory } from '../../src/callers/caller-memory.ts'
import {
  PEER_ASKS_MAX,
  PEER_WAIT_MS_MAX,
  PeerAnswers,
  type PeerMessage,
} from '../../src/callers/peer-answers.ts'
import { type Pledge, type Repeat, Repeats } from '../../src/callers/repeats.ts'
import type { Snapshot } from '../../src/domain/routes.ts'
import { Sweep } from '../../src/kernel/sweep.ts'
import { makeModel } from '../support/make-model.ts'
import { ManualClock } from '../support/manual-clock.ts'

const MODEL = makeModel({ idempotency: { ttlMs: 60_000, bytesMax: 128 * 1024, by: [] } })
const SNAPSHOT = {
  models: new Map([['fraud', MODEL]]),
  rates: [],
  server: { lanes: 2 },
} as unknown as Snapshot
const ONE = { key: 'key-1', fingerprint: 'body-1' }

/** Lanes that speak to each other as soon as `deliver` is called. */
function lanes(t: Test, count = 2) {
  const clock = new ManualClock()
  const sweep = new Sweep(clock)
  t.teardown(() => sweep.stop())
  const memory = makeCallerMemory(SNAPSHOT)
  const sent: { from: number; message: PeerMessage }[] = []
  const changes: [number, boolean][] = []
  const all = Array.from(
    { length: count },
    (_, lane) =>
      new Repeats({
        snapshot: SNAPSHOT,
        memory,
        lane,
        clock,
        sweep,
        send: (message) => void sent.push({ from: lane, message: structuredClone(message) }),
        onChange: (_model, bytes, isForgotten) => void changes.push([bytes, isForgotten]),
      }),
  )
  const deliver = () => {
    while (sent.length > 0) {
      const { from, message } = sent.shift()!
      for (const [lane, repeats] of all.entries()) if (lane !== from) repeats.receive(message)
    }
  }
  return { clock, sweep, all, sent, deliver, changes }
}

function begin(repeats: Repeats, asked = ONE): { repeat: Repeat | undefined } {
  const seen: { repeat: Repeat | undefined } = { repeat: undefined }
  repeats.begin(MODEL, asked, (repeat) => {
    seen.repeat = repeat
  })
  return seen
}

const pledgeOf = ({ repeat }: { repeat: Repeat | undefined }): Pledge => {
  if (repeat?.kind !== 'first') throw new Error(`it is ${repeat?.kind}`)
  return repeat.pledge
}

const answer = (bytes = 3) => ({
  id: 'id-1',
  served: 'v1',
  reason: 'primary',
  degraded: '',
  ageAtFirst: 0,
  answer: { status: 200, headers: ['a', 'b'], body: Buffer.alloc(bytes, 'x') },
})

t.test(
  'a repeat gets the first one’s answer, on its lane at once and on another when it was fetched',
  async (t) => {
    const { all, sent, deliver } = lanes(t)
    const [one, two] = all
    const pledge = pledgeOf(begin(one!))
    t.equal(begin(one!).repeat?.kind, 'under-way')
    t.equal(begin(two!).repeat?.kind, 'under-way')
    t.equal(sent.length, 0, 'nobody was asked for that')
    t.ok(pledge.keep(answer()))
    t.match(begin(one!).repeat, { kind: 'kept', kept: { id: 'id-1' } })
    const elsewhere = begin(two!)
    t.equal(elsewhere.repeat, undefined)
    deliver()
    t.match(elsewhere.repeat, { kind: 'kept', kept: { id: 'id-1', served: 'v1' } })
    if (elsewhere.repeat?.kind === 'kept')
      t.equal(Buffer.from(elsewhere.repeat.kept.answer.body).toString(), 'xxx')
  },
)

t.test('the same key with another request is refused, on each lane', async (t) => {
  const { all, deliver } = lanes(t)
  pledgeOf(begin(all[0]!)).keep(answer())
  t.equal(begin(all[0]!, { key: 'key-1', fingerprint: 'body-2' }).repeat?.kind, 'mismatch')
  const elsewhere = begin(all[1]!, { key: 'key-1', fingerprint: 'body-2' })
  deliver()
  t.equal(elsewhere.repeat?.kind, 'mismatch')
  t.equal(begin(all[1]!, { key: 'key-2', fingerprint: 'body-2' }).repeat?.kind, 'first')
})

t.test('what was not kept is done anew, once', async (t) => {
  const { all, deliver } = lanes(t)
  pledgeOf(begin(all[0]!)).release()
  const pledge = pledgeOf(begin(all[1]!))
  t.notOk(pledge.keep(answer(1024 * 1024)), 'too large')
  const again = pledgeOf(begin(all[0]!))
  t.ok(again.keep(answer()))
  again.release()
  t.notOk(again.keep(answer()), 'a pledge is ended once')
  const elsewhere = begin(all[1]!)
  deliver()
  t.equal(elsewhere.repeat?.kind, 'kept')
})

t.test('an answer that had to leave, or is too old, is nobody’s any more', async (t) => {
  const { all, deliver, clock, changes } = lanes(t)
  // Each lane has half of 128 KiB.
  for (const key of ['a', 'b', 'c']) {
    pledgeOf(begin(all[0]!, { key, fingerprint: key })).keep(answer(30_000))
  }
  t.ok(changes.some(([, isForgotten]) => isForgotten))
  t.equal(begin(all[1]!, { key: 'a', fingerprint: 'a' }).repeat?.kind, 'first', 'it was pushed out')
  const other = begin(all[1]!, { key: 'b', fingerprint: 'b' })
  clock.advance(60_001)
  deliver()
  t.equal(other.repeat?.kind, 'first', 'it was kept when it was asked for, and too old when it was looked up')
  t.equal(begin(all[0]!, { key: 'c', fingerprint: 'c' }).repeat?.kind, 'first')
})

t.test('a lane that does not answer is not waited for', async (t) => {
  const { all, clock, sweep, sent } = lanes(t)
  pledgeOf(begin(all[0]!)).keep(answer())
  const elsewhere = begin(all[1]!)
  clock.advance(PEER_WAIT_MS_MAX - 1)
  sweep.run()
  t.equal(elsewhere.repeat, undefined)
  clock.advance(1)
  sweep.run()
  t.equal(elsewhere.repeat?.kind, 'unavailable')
  const late = sent.shift()!.message
  all[0]!.receive(late)
  all[1]!.receive(sent.shift()!.message)
  t.equal(elsewhere.repeat?.kind, 'unavailable', 'what comes later changes nothing')
})

t.test('no more than so many wait for other lanes', async (t) => {
  const clock = new ManualClock()
  const sweep = new Sweep(clock)
  t.teardown(() => sweep.stop())
  let sent = 0
  const peers = new PeerAnswers({
    lane: 0,
    clock,
    sweep,
    send: () => {
      sent += 1
    },
    keptOf: () => undefined,
  })
  const told: unknown[] = []
  for (let index = 0; index < PEER_ASKS_MAX + 3; index += 1) peers.ask(1, 0, 'k', (what) => told.push(what))
  t.equal(sent, PEER_ASKS_MAX)
  sweep.run()
  t.same(told, ['unknown', 'unknown', 'unknown'])
})
