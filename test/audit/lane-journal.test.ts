/** The lane's way into the log on every kind of disk: whole turns, short writes, full, broken, too far behind. */
import { readdirSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { LaneJournal } from '../../src/audit/lane-journal.ts'
import { LaneState } from '../../src/audit/lane-state.ts'
import { journalsOf, listJournals } from '../../src/audit/paths.ts'
import { RingConsumer, RingProducer, ringMemory } from '../../src/audit/ring.ts'
import { WriterSignal } from '../../src/audit/writer-signal.ts'
import { allRecords, type BenchLog, decisionIds, openBenchLog } from './bench-log.ts'
import { sampleDecision, sampleInputs } from './samples.ts'

/** Records one decision; the release's verdict arrives in `verdicts`. */
function decide(journal: LaneJournal, verdicts: boolean[]): string {
  const record = sampleDecision()
  journal.decision(record, sampleInputs, (written) => verdicts.push(written))
  return record.id
}

async function idsIn({ dataDir }: BenchLog): Promise<string[]> {
  return decisionIds(await allRecords(dataDir))
}

const losses = async ({ dataDir }: BenchLog) =>
  (await allRecords(dataDir)).flatMap((record) => (record.type === 'gap' ? [record.note] : []))

t.test('all records of a turn are written with one call, before any of them is released', async (t) => {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  const verdicts: boolean[] = []
  let atRelease = -1
  const ids = [1, 2, 3].map(() => decide(lane, verdicts))
  lane.decision(sampleDecision(), sampleInputs, () => {
    atRelease = log.laneDisk.writes
  })
  t.strictSame(verdicts, [], 'nothing is released in the turn itself')
  await nextTurn()
  t.strictSame(verdicts, [true, true, true])
  t.equal(atRelease, 2, 'the header of the new file, and the turn')
  t.strictSame((await idsIn(log)).slice(0, 3), ids)
  lane.close()
})

t.test('short and interrupted writes change nothing', async (t) => {
  const log = openBenchLog()
  log.laneDisk.writeBytesMax = 7
  log.laneDisk.interrupts = 2
  const verdicts: boolean[] = []
  const ids = [1, 2].map(() => decide(log.lanes[0]!, verdicts))
  log.lanes[0]!.flush()
  t.strictSame(verdicts, [true, true])
  t.strictSame(await idsIn(log), ids)
  log.lanes[0]!.close()
})

t.test(
  'a full disk refuses, leaves no half record, and is forgiven within a second of having room',
  async (t) => {
    const log = openBenchLog()
    const lane = log.lanes[0]!
    const verdicts: boolean[] = []
    const first = decide(lane, verdicts)
    lane.flush()
    log.laneDisk.room = 500
    decide(lane, verdicts)
    decide(lane, verdicts)
    lane.flush()
    t.strictSame(verdicts, [true, false, false])
    t.notOk(lane.available())
    decide(lane, verdicts)
    await nextTurn()
    t.equal(verdicts[3], false, 'and who records all the same is told so')
    t.strictSame(await idsIn(log), [first])
    log.laneDisk.room = Infinity
    t.notOk(lane.available(), 'the disk is not asked for every request')
    log.clock.advance(1000)
    t.ok(lane.available())
    const last = decide(lane, verdicts)
    lane.flush()
    t.strictSame(await idsIn(log), [first, last])
    const [loss] = await losses(log)
    t.match(loss, { records: 3, from: 2, to: 4, cause: 'ENOSPC', lane: 0 })
    t.equal(new LaneState(log.parts[0]!.state).position().lost, 3)
    lane.close()
  },
)

t.test('a disk that is still full after a second keeps refusing and keeps counting', async (t) => {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  const verdicts: boolean[] = []
  log.laneDisk.room = 0
  decide(lane, verdicts)
  lane.flush()
  for (let second = 0; second < 5; second += 1) {
    log.clock.advance(1000)
    t.notOk(lane.available())
  }
  // Room enough by its own account, yet the write fails: the loss record itself is the test.
  log.laneDisk.freeBytes = () => Infinity
  log.clock.advance(1000)
  t.notOk(lane.available())
  log.laneDisk.room = Infinity
  log.clock.advance(1000)
  t.ok(lane.available())
  const [loss, ...more] = await losses(log)
  t.match(loss, { records: 2, from: 1, cause: 'ENOSPC' }, 'the decision, and the loss record that failed')
  t.strictSame(more, [])
  lane.close()
})

t.test('when a half-written batch cannot be cut off, the next one begins a new file', async (t) => {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  const verdicts: boolean[] = []
  const first = decide(lane, verdicts)
  lane.flush()
  log.laneDisk.room = 100
  log.laneDisk.code = 'EIO'
  log.laneDisk.failsTruncate = true
  decide(lane, verdicts)
  lane.flush()
  log.laneDisk.room = Infinity
  log.clock.advance(1000)
  t.ok(lane.available())
  const last = decide(lane, verdicts)
  lane.close()
  t.strictSame(verdicts, [true, false, true])
  t.equal(listJournals(log.dataDir).length, 2)
  log.writer.finish()
  t.strictSame(await idsIn(log), [first, last])
  t.match(await losses(log), [{ records: 1, cause: 'EIO' }])
  t.equal(readdirSync(journalsOf(log.dataDir)).length, 0)
})

t.test('whole frames that could not be cut off count once, and nothing counts as missing', async (t) => {
  const run = () => {
    const log = openBenchLog()
    const lane = log.lanes[0]!
    const verdicts: boolean[] = []
    const ids = [decide(lane, verdicts)]
    lane.flush()
    const frameBytes = new LaneState(log.parts[0]!.state).position().bytes
    log.laneDisk.room = Math.floor(2.5 * frameBytes)
    log.laneDisk.failsTruncate = true
    for (let count = 0; count < 4; count += 1) ids.push(decide(lane, verdicts))
    lane.flush()
    log.laneDisk.room = Infinity
    log.clock.advance(1000)
    t.ok(lane.available())
    ids.push(decide(lane, verdicts))
    lane.close()
    t.strictSame(verdicts, [true, false, false, false, false, true])
    // Two of the four stand whole in the file although their callers were told that they do not.
    return { log, ids: [...ids.slice(0, 3), ids[5]!] }
  }
  const loss = { records: 4, from: 2, to: 5 }

  const live = run()
  const state = new LaneState(live.log.parts[0]!.state)
  live.log.writer.finish()
  t.strictSame(await idsIn(live.log), live.ids)
  t.match(await losses(live.log), [loss])
  t.equal(state.sequencedRecords, state.position().records)
  t.equal(state.syncedBytes, state.position().bytes, 'no backlog is forgotten for what was never counted')

  const dead = run()
  const again = openBenchLog({ dataDir: dead.log.dataDir })
  t.match(again.recovery, { replayed: 5, missing: 0, torn: [{ where: 'tail' }] })
  t.strictSame(await idsIn(again), dead.ids)
  t.match(await losses(again), [loss])
  again.lanes[0]!.close()
})

t.test('a lane too far ahead of the writer refuses until the writer has caught up', async (t) => {
  const log = openBenchLog({ backlogBytesMax: 2000 })
  const lane = log.lanes[0]!
  const verdicts: boolean[] = []
  let taken = 0
  for (; lane.available() && taken < 100; taken += 1) {
    decide(lane, verdicts)
    lane.flush()
  }
  t.ok(taken > 2 && taken < 20, `${taken} records`)
  decide(lane, verdicts)
  lane.flush()
  t.equal(verdicts.at(-1), false)
  log.writer.round()
  log.clock.advance(30)
  log.writer.round()
  t.ok(lane.available())
  decide(lane, verdicts)
  lane.close()
  log.writer.finish()
  t.equal((await idsIn(log)).length, taken + 1)
  t.match(await losses(log), [{ records: 1, cause: 'backlog' }])
})

t.test('after the log is lost nothing is accepted any more', async (t) => {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  const verdicts: boolean[] = []
  decide(lane, verdicts)
  new WriterSignal(log.signal).fail()
  lane.flush()
  t.strictSame(verdicts, [false], 'not even what was on its way')
  t.notOk(lane.available())
  lane.close()
})

t.test('a release that throws keeps nobody from the reply, refused or not', async (t) => {
  const bugs: unknown[] = []
  const log = openBenchLog({ backlogBytesMax: 100, onBug: (error) => bugs.push(error) })
  const lane = log.lanes[0]!
  const verdicts: boolean[] = []
  const fail = () => {
    throw new Error('a bug')
  }
  lane.decision(sampleDecision(), sampleInputs, fail)
  decide(lane, verdicts)
  lane.flush()
  t.strictSame(verdicts, [true])
  t.notOk(lane.available(), 'too far ahead: what follows is refused')
  lane.decision(sampleDecision(), sampleInputs, fail)
  decide(lane, verdicts)
  await nextTurn()
  t.strictSame(verdicts, [true, false])
  t.match(bugs, [{ message: 'a bug' }, { message: 'a bug' }])
  lane.close()
})

t.test(
  'a full batch and a bug do not throw into the request that filled it, nor keep the refused',
  async (t) => {
    const log = openBenchLog()
    const lane = log.lanes[0]!
    const verdicts: boolean[] = []
    const thrown: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', (error) => thrown.push(error))
    lane.decision(sampleDecision(), sampleInputs, () => {
      throw new Error('a bug')
    })
    for (let count = 0; count < 3000; count += 1) decide(lane, verdicts)
    t.ok(verdicts.length > 0, 'a batch was full within the turn')
    lane.flush()
    t.equal(verdicts.length, 3000)
    await nextTurn()
    for (const listener of listeners) process.on('uncaughtException', listener)
    t.match(thrown, [{ message: 'a bug' }], 'and it does not go unnoticed')
    lane.close()
  },
)

t.test('a turn larger than the batch is written in pieces, in order', async (t) => {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  const verdicts: boolean[] = []
  const ids = Array.from({ length: 4000 }, () => decide(lane, verdicts))
  lane.flush()
  t.equal(verdicts.filter((written) => written).length, 4000)
  t.ok(log.laneDisk.writes < 10)
  t.strictSame(await idsIn(log), ids)
  lane.close()
})

t.test('a lane that is started again goes on where its predecessor stopped', async (t) => {
  const log = openBenchLog()
  const verdicts: boolean[] = []
  const first = decide(log.lanes[0]!, verdicts)
  log.lanes[0]!.flush()
  const second = new LaneJournal(log.parts[0]!, log.clock)
  const last = decide(second, verdicts)
  second.close()
  log.writer.finish()
  const records = await allRecords(log.dataDir)
  t.strictSame(decisionIds(records), [first, last])
  t.strictSame(
    records.map(({ origin }) => origin.sequence),
    [1, 2],
  )
})

t.test('an event too large for a frame is counted, not written', async (t) => {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  lane.note('config', { at: 1, generation: 1, hash: 'x'.repeat(70_000), file: 'gateway.toml' })
  decide(lane, [])
  lane.close()
  t.match(await losses(log), [{ records: 1, cause: 'too-large' }])
})

t.test('the ring gives back what was put in, wrapping as often as it must', async (t) => {
  const memory = ringMemory(1024)
  const [producer, consumer] = [new RingProducer(memory), new RingConsumer(memory)]
  for (let sequence = 1; sequence <= 500; sequence += 1) {
    const bytes = Buffer.alloc((sequence * 37) % 400, sequence)
    t.ok(producer.offer(sequence, sequence % 3, bytes))
    const entry = consumer.peek()!
    t.strictSame([entry.sequence, entry.kind, Buffer.concat(entry.parts)], [sequence, sequence % 3, bytes])
    consumer.release()
  }
  t.equal(consumer.peek(), undefined)
})

t.test('a full ring and an oversized body are refused, and nobody waits', async (t) => {
  const producer = new RingProducer(ringMemory(1024))
  t.notOk(producer.offer(1, 0, Buffer.alloc(513)), 'more than half the ring')
  t.ok(producer.offer(1, 0, Buffer.alloc(500)))
  t.ok(producer.offer(2, 0, Buffer.alloc(400)))
  t.notOk(producer.offer(3, 0, Buffer.alloc(200)))
})
