/** Answers that wait for their record to be on the disk: when they leave, with what, and when they must not. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { DURABLE_WAIT_MS_MAX, DURABLE_WAITING_MAX } from '../../src/audit/durable-waits.ts'
import { LaneJournal } from '../../src/audit/lane-journal.ts'
import { LaneState } from '../../src/audit/lane-state.ts'
import { WriterSignal } from '../../src/audit/writer-signal.ts'
import { eventually } from '../support/eventually.ts'
import { allRecords, type BenchLog, decisionIds, openBenchLog } from './bench-log.ts'
import { leafHashesIn } from './leaf-hashes.ts'
import { sampleDecision, sampleInputs } from './samples.ts'

interface Fate {
  readonly id: string
  readonly written: boolean
  readonly receipt: string
  readonly isWithheld: boolean
}

/** Records one decision; its fate arrives in `fates`. */
function decide(journal: LaneJournal, fates: Fate[], isDurable = true): string {
  const record = sampleDecision()
  const { id } = record
  journal.decision(
    record,
    sampleInputs,
    (written, receipt, isWithheld) => fates.push({ id, written, receipt, isWithheld }),
    isDurable,
  )
  return id
}

/** What was recorded is synced, and the lane knows. */
function round({ writer, lanes }: BenchLog): void {
  writer.round()
  for (const lane of lanes) lane.flush()
}

t.test('an answer leaves after its record is synced, with the record’s place and leaf hash', async (t) => {
  const log = openBenchLog({ lanes: 2 })
  const fates: Fate[] = []
  const ids = log.lanes.map((lane) => decide(lane, fates))
  const [first, second] = log.lanes
  for (const lane of log.lanes) lane.flush()
  const syncs = log.disk.syncs
  t.strictSame(fates, [], 'written is not enough')
  let whileSyncing = -1
  log.disk.duringSync = () => {
    for (const lane of log.lanes) lane.flush()
    whileSyncing = fates.length
  }
  round(log)
  t.equal(whileSyncing, 0, 'nor is a sync that has begun')
  t.equal(log.disk.syncs, syncs + 1, 'one sync for all of them')
  t.strictSame(
    fates.map(({ id, written }) => [id, written]),
    ids.map((id) => [id, true]),
  )
  const leaves = leafHashesIn(log.dataDir)
  for (const record of await allRecords(log.dataDir)) {
    if (record.type !== 'decision') continue
    const { receipt } = fates.find(({ id }) => id === record.decision.id)!
    const { sequence } = record.place
    t.equal(receipt, `${log.parts[0]!.origin};${sequence};${leaves.get(sequence!)}`)
  }
  first!.close()
  second!.close()
  log.writer.finish()
})

t.test('a lane that is idle is woken, and then answers', async (t) => {
  const log = openBenchLog()
  const fates: Fate[] = []
  decide(log.lanes[0]!, fates)
  await nextTurn()
  t.strictSame(fates, [])
  log.writer.round()
  await eventually(() => fates.length === 1, { until: 'the news has come' })
  t.match(fates, [{ written: true, receipt: /^modelgate\/[0-9a-f]{16}\/1;[0-9]+;[0-9a-f]{64}$/ }])
  log.lanes[0]!.close()
  log.writer.finish()
})

t.test('answers of other modes in the same turn do not wait', async (t) => {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  const fates: Fate[] = []
  decide(lane, fates)
  const batched = decide(lane, fates, false)
  lane.flush()
  t.match(fates, [{ id: batched, written: true, receipt: '', isWithheld: false }])
  round(log)
  t.equal(fates.length, 2)
  lane.close()
  log.writer.finish()
})

t.test('many that come together share a sync', async (t) => {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  const fates: Fate[] = []
  for (let count = 0; count < 300; count += 1) decide(lane, fates)
  lane.flush()
  const syncs = log.disk.syncs
  log.writer.round()
  lane.flush()
  t.equal(fates.filter(({ written }) => written).length, 300)
  t.equal(log.disk.syncs, syncs + 1)
  lane.close()
  log.writer.finish()
})

t.test('a disk too full for the journal refuses at once; its record is lost, not withheld', async (t) => {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  const fates: Fate[] = []
  log.laneDisk.room = 0
  decide(lane, fates)
  lane.flush()
  t.match(fates, [{ written: false, receipt: '', isWithheld: false }])
  t.notOk(lane.available(true))
  log.laneDisk.room = Infinity
  log.clock.advance(1000)
  t.ok(lane.available(true))
  decide(lane, fates)
  lane.flush()
  round(log)
  t.match(fates[1], { written: true })
  lane.close()
  log.writer.finish()
})

t.test(
  'segments that cannot be written: who waits is told, nobody else is let in to wait, and it ends with the trouble',
  async (t) => {
    const log = openBenchLog()
    const lane = log.lanes[0]!
    const fates: Fate[] = []
    decide(lane, fates)
    lane.flush()
    round(log)
    log.disk.room = 0
    const withheld = decide(lane, fates)
    lane.flush()
    log.writer.round()
    lane.look()
    t.match(fates[1], { id: withheld, written: false, isWithheld: true })
    t.notOk(lane.available(true))
    t.ok(lane.available(), 'the journal is enough for others')
    const late = decide(lane, fates)
    lane.flush()
    t.match(fates[2], { id: late, written: false, isWithheld: true }, 'one that was under way already')
    log.disk.room = Infinity
    log.clock.advance(500)
    log.writer.round()
    t.ok(lane.available(true))
    const last = decide(lane, fates)
    lane.flush()
    round(log)
    t.match(fates[3], { id: last, written: true })
    t.equal(fates.length, 4, 'what was told once is not told again')
    t.match(new LaneState(log.parts[0]!.state).waits(), { waiting: 0, released: 2, withheld: 2 })
    lane.close()
    log.writer.finish()
    t.equal(decisionIds(await allRecords(log.dataDir)).length, 4, 'what was withheld is in the log')
  },
)

t.test('a sync that does not come to an end: so many wait, and no longer than so', async (t) => {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  const fates: Fate[] = []
  let admitted = 0
  for (; lane.available(true) && admitted < 2 * DURABLE_WAITING_MAX; admitted += 1) {
    decide(lane, fates)
    lane.flush()
  }
  t.equal(admitted, DURABLE_WAITING_MAX)
  t.ok(lane.available(), 'other modes go on')
  lane.look()
  t.strictSame(fates, [])
  log.clock.advance(DURABLE_WAIT_MS_MAX)
  lane.look()
  t.equal(fates.filter(({ isWithheld }) => isWithheld).length, admitted)
  t.notOk(lane.available(true), 'and nobody else waits for it')
  round(log)
  t.ok(lane.available(true), 'until it comes to an end')
  const last = decide(lane, fates)
  lane.flush()
  round(log)
  t.match(fates.at(-1), { id: last, written: true })
  lane.close()
  log.writer.finish()
})

t.test('who had to give up is let in to try again, even if nothing is ever told of the others', async (t) => {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  const fates: Fate[] = []
  decide(lane, fates)
  lane.flush()
  log.clock.advance(DURABLE_WAIT_MS_MAX)
  lane.look()
  t.match(fates, [{ isWithheld: true }])
  t.notOk(lane.available(true))
  log.clock.advance(DURABLE_WAIT_MS_MAX)
  t.ok(lane.available(true))
  lane.close()
  log.writer.finish()
})

t.test('a failed sync ends it: who waits gets no answer, and nobody is let in', async (t) => {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  const fates: Fate[] = []
  decide(lane, fates)
  lane.flush()
  log.disk.failsSync = true
  t.throws(() => log.writer.round(), { name: 'SyncFailure' })
  // What the writer’s thread does then.
  new WriterSignal(log.signal).fail()
  log.writer.wakeLanes()
  await eventually(() => fates.length === 1, { until: 'the news has come' })
  t.match(fates, [{ written: false, isWithheld: true }])
  t.notOk(lane.available(true))
  lane.close()
})

t.test(
  'a lane that ends leaves nobody waiting, and its successor is not confused by late news',
  async (t) => {
    const log = openBenchLog()
    const fates: Fate[] = []
    decide(log.lanes[0]!, fates)
    log.lanes[0]!.close()
    t.match(fates, [{ written: false, isWithheld: true }])
    const second = new LaneJournal(log.parts[0]!, log.clock)
    const last = decide(second, fates)
    second.flush()
    log.writer.round()
    log.clock.advance(3)
    log.writer.round()
    second.flush()
    t.match(fates[1], { id: last, written: true })
    t.equal(fates.length, 2)
    t.match(new LaneState(log.parts[0]!.state).waits(), { waiting: 0, released: 1, withheld: 1 })
    second.close()
    log.writer.finish()
  },
)

t.test('a release that throws keeps nobody from the answer', async (t) => {
  const bugs: unknown[] = []
  const log = openBenchLog({ onBug: (error) => bugs.push(error) })
  const lane = log.lanes[0]!
  const fates: Fate[] = []
  const fail = () => {
    throw new Error('a bug')
  }
  lane.decision(sampleDecision(), sampleInputs, fail, true)
  decide(lane, fates)
  lane.flush()
  round(log)
  t.match(fates, [{ written: true }])
  t.match(bugs, [{ message: 'a bug' }])
  lane.close()
  log.writer.finish()
})

t.test(
  'whatever happens in whatever order, each is told once, and receipts only of what is there',
  async (t) => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ do: fc.constant('decide'), lane: fc.nat(1), isDurable: fc.boolean() }),
      },
      fc.record({ do: fc.constantFrom('flush', 'look'), lane: fc.nat(1), isDurable: fc.constant(true) }),
      fc.record({
        do: fc.constantFrom('round', 'wait', 'full', 'room', 'patience'),
        lane: fc.constant(0),
        isDurable: fc.constant(true),
      }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const log = openBenchLog({ lanes: 2, segmentBytesMax: 6000 })
        const fates: Fate[] = []
        const asked: string[] = []
        const actions: Record<string, (lane: LaneJournal, isDurable: boolean) => void> = {
          decide: (lane, isDurable) => asked.push(decide(lane, fates, isDurable)),
          flush: (lane) => lane.flush(),
          look: (lane) => lane.look(),
          round: () => log.writer.round(),
          wait: () => log.clock.advance(3),
          patience: () => log.clock.advance(DURABLE_WAIT_MS_MAX),
          full: () => {
            log.disk.room = 700
          },
          room: () => {
            log.disk.room = Infinity
          },
        }
        for (const { do: what, lane, isDurable } of steps) actions[what]!(log.lanes[lane]!, isDurable)
        log.disk.room = Infinity
        for (const lane of log.lanes) lane.close()
        log.writer.finish()
        t.strictSame(fates.map(({ id }) => id).sort(), [...asked].sort())
        const leaves = leafHashesIn(log.dataDir)
        const places = new Map<string, number | null>()
        for (const record of await allRecords(log.dataDir))
          if (record.type === 'decision') places.set(record.decision.id, record.place.sequence)
        for (const { id, written, receipt } of fates) {
          t.ok(places.has(id))
          if (receipt === '') continue
          const [, sequence, leaf] = receipt.split(';')
          t.ok(written)
          t.strictSame([places.get(id), leaves.get(Number(sequence))], [Number(sequence), leaf])
        }
      }),
      { numRuns: 30 },
    )
  },
)
