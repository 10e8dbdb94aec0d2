/** The writer's rounds: order, digests, segments, what is kept when, and what happens when the disk says no. */
import { createHmac } from 'node:crypto'
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { LaneJournal } from '../../src/audit/lane-journal.ts'
import { LaneState } from '../../src/audit/lane-state.ts'
import { journalsOf, KEY_FILE, listJournals, listSegments, tornOf } from '../../src/audit/paths.ts'
import { verifyLog } from '../../src/audit/verify/verify-log.ts'
import { allRecords, decisionIds, openBenchLog } from './bench-log.ts'
import { sampleDecision, sampleInputs } from './samples.ts'

function record(lane: LaneJournal, count: number): string[] {
  const ids: string[] = []
  for (let index = 0; index < count; index += 1) {
    const decision = sampleDecision()
    lane.decision(decision, sampleInputs, () => {})
    ids.push(decision.id)
  }
  lane.flush()
  return ids
}

t.test('records of all lanes get one contiguous sequence and the digests of their own bodies', async (t) => {
  const log = openBenchLog({ lanes: 3 })
  const ids = log.lanes.flatMap((lane) => record(lane, 20))
  log.writer.round()
  const more = log.lanes.flatMap((lane) => record(lane, 5))
  for (const lane of log.lanes) lane.close()
  log.writer.finish()
  const records = await allRecords(log.dataDir)
  t.strictSame(
    records.map(({ place }) => place.sequence),
    Array.from({ length: 75 }, (_, index) => index + 1),
  )
  t.strictSame(new Set(decisionIds(records)), new Set([...ids, ...more]))
  const key = readFileSync(join(log.dataDir, KEY_FILE))
  const digest = (value: string | Buffer) =>
    createHmac('sha256', key).update(value).digest('hex').slice(0, 32)
  const expected = {
    key: digest(sampleInputs.key),
    request: digest(sampleInputs.request),
    answer: digest(sampleInputs.answer),
  }
  for (const found of records) if (found.type === 'decision') t.strictSame(found.digests, expected)
  t.equal(statSync(join(log.dataDir, KEY_FILE)).mode & 0o777, 0o600)
  t.equal(log.digester.hexOf(Buffer.from(sampleInputs.key)), expected.key)
})

t.test('large bodies are digested alike, and what is missing has its reason', async (t) => {
  const log = openBenchLog({ ringBytes: 64 * 1024, digestBytesMax: 31_000 })
  const lane = log.lanes[0]!
  const large = Buffer.alloc(30_000, 5)
  lane.decision(sampleDecision(), { key: '', request: large, answer: null }, () => {})
  lane.decision(sampleDecision(), { key: 'k', request: Buffer.alloc(31_001), answer: large }, () => {})
  lane.decision(sampleDecision(), { key: 'k', request: large, answer: Buffer.alloc(0) }, () => {})
  lane.close()
  log.writer.finish()
  const digests = (await allRecords(log.dataDir)).map((found) =>
    found.type === 'decision' ? found.digests : null,
  )
  t.match(digests, [
    { key: 'absent', request: log.digester.hexOf(large), answer: 'absent' },
    { key: /^[0-9a-f]{32}$/, request: 'too-large', answer: log.digester.hexOf(large) },
    { key: /^[0-9a-f]{32}$/, request: 'ring-full', answer: 'absent' },
  ])
  const { digestsLost } = new LaneState(log.parts[0]!.state).position()
  t.equal(digestsLost, 1, 'what is not wanted is not lost')
})

t.test('bodies of records that were never written do not shift the digests of later ones', async (t) => {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  record(lane, 2)
  log.laneDisk.room = 10
  lane.decision(sampleDecision(), { key: 'other', request: Buffer.from('other'), answer: null }, () => {})
  lane.flush()
  log.laneDisk.room = Infinity
  log.clock.advance(1000)
  t.ok(lane.available())
  lane.decision(sampleDecision(), { key: 'mine', request: Buffer.from('mine'), answer: null }, () => {})
  lane.close()
  log.writer.finish()
  const last = (await allRecords(log.dataDir)).at(-1)!
  t.match(last, { digests: { key: log.digester.hexOf(Buffer.from('mine')), answer: 'absent' } })
})

t.test('a record is synced within 50 ms of being written, many with one sync', async (t) => {
  const log = openBenchLog()
  const before = log.disk.syncs
  record(log.lanes[0]!, 10)
  log.writer.round()
  t.equal(log.disk.syncs, before)
  for (let ms = 0; ms < 25; ms += 5) {
    log.clock.advance(5)
    record(log.lanes[0]!, 10)
    log.writer.round()
  }
  t.equal(log.disk.syncs, before + 1)
  const state = new LaneState(log.parts[0]!.state)
  t.equal(state.sequencedRecords, 60)
  t.equal(state.position().bytes - state.syncedBytes, 0)
  t.ok(log.writer.isIdle)
  log.lanes[0]!.close()
})

t.test('segments end before they grow too large, and each begins where the last one stopped', async (t) => {
  const log = openBenchLog({ segmentBytesMax: 20_000 })
  for (let turn = 0; turn < 30; turn += 1) {
    record(log.lanes[0]!, 10)
    log.writer.round()
  }
  log.lanes[0]!.close()
  log.writer.finish()
  const segments = listSegments(log.dataDir)
  t.ok(segments.length > 3, `${segments.length} segments`)
  for (const { path } of segments) t.ok(statSync(path).size <= 20_000)
  const verdict = verifyLog(log.dataDir)
  t.match(verdict, { isWhole: true, first: 0, last: verdict.records - 1, segments: segments.length })
  t.strictSame(Object.fromEntries(verdict.types), { key: 1, decision: 300, mark: segments.length - 1 })
  let through = 0
  for (const found of await allRecords(log.dataDir)) {
    if (found.type === 'decision') through = Math.max(through, found.origin.sequence)
    if (found.type !== 'mark') continue
    const [{ lane, through: marked }] = found.note.lanes as [{ lane: number; through: number }]
    t.ok(lane === 0 && marked > 0 && marked <= through, 'a mark tells only of records before it')
  }
})

t.test(
  'a round takes one batch and says that there is more, so nothing keeps the thread from the rest',
  async (t) => {
    const log = openBenchLog()
    for (let turn = 0; turn < 5; turn += 1) record(log.lanes[0]!, 1000)
    t.ok(log.writer.round())
    const taken = verifyLog(log.dataDir).records
    t.ok(taken > 1000 && taken < 5000, `${taken} of 5000`)
    while (log.writer.round()) t.ok(log.writer.hasNews)
    t.notOk(log.writer.hasNews)
    t.equal(verifyLog(log.dataDir).records, 5001)
    log.lanes[0]!.close()
    log.writer.finish()
  },
)

t.test('a journal file goes once its records are synced in segments, not before', async (t) => {
  const log = openBenchLog({ fileBytesMax: 8000 })
  record(log.lanes[0]!, 15)
  record(log.lanes[0]!, 15)
  record(log.lanes[0]!, 15)
  const files = listJournals(log.dataDir).length
  t.ok(files >= 2)
  log.writer.round()
  t.equal(listJournals(log.dataDir).length, files)
  log.clock.advance(25)
  log.writer.round()
  t.equal(listJournals(log.dataDir).length, 1, 'the one being written stays')
  log.lanes[0]!.close()
  log.writer.finish()
  t.equal(readdirSync(journalsOf(log.dataDir)).length, 0)
})

t.test(
  'a journal directory that is deleted is there again with the next file, and nothing is lost',
  async (t) => {
    const log = openBenchLog({ fileBytesMax: 8000 })
    const ids = record(log.lanes[0]!, 15)
    log.writer.round()
    rmSync(journalsOf(log.dataDir), { recursive: true })
    for (let batch = 0; batch < 4; batch += 1) ids.push(...record(log.lanes[0]!, 15))
    t.ok(readdirSync(journalsOf(log.dataDir)).length >= 2)
    log.lanes[0]!.close()
    log.writer.finish()
    t.strictSame(decisionIds(await allRecords(log.dataDir)), ids)
    t.ok(verifyLog(log.dataDir).isWhole)
  },
)

t.test('when segments cannot be written the journals are synced and nothing is lost', async (t) => {
  const log = openBenchLog()
  log.disk.room = 700
  const ids = record(log.lanes[0]!, 5)
  const before = log.disk.syncs
  const journals = journalsOf(log.dataDir)
  const named = () => log.disk.directorySyncs.filter((path) => path === journals).length
  log.writer.round()
  t.ok(log.disk.syncs > before, 'the journal went to the disk instead')
  t.equal(named(), 1, 'and its name')
  t.ok(log.lanes[0]!.available(), 'and the lane goes on')
  ids.push(...record(log.lanes[0]!, 5))
  log.clock.advance(100)
  log.writer.round()
  t.equal(named(), 1, 'once for each file')
  t.strictSame(decisionIds(await allRecords(log.dataDir)), ids, 'readable in the journal meanwhile')
  log.disk.room = Infinity
  log.clock.advance(500)
  log.writer.round()
  log.lanes[0]!.close()
  log.writer.finish()
  t.match(verifyLog(log.dataDir), { isWhole: true, records: 11, tailBytes: 0 })
  t.strictSame(decisionIds(await allRecords(log.dataDir)), ids)
})

t.test('without a descriptor left the writer waits, and nothing is lost', async (t) => {
  const log = openBenchLog({ fileBytesMax: 4000 })
  const ids = record(log.lanes[0]!, 5)
  log.disk.isOutOfDescriptors = true
  for (let round = 0; round < 5; round += 1) {
    log.writer.round()
    ids.push(...record(log.lanes[0]!, 8))
    log.clock.advance(300)
  }
  log.disk.isOutOfDescriptors = false
  log.clock.advance(500)
  while (log.writer.round());
  log.disk.isOutOfDescriptors = true
  ids.push(...record(log.lanes[0]!, 20))
  log.writer.round()
  log.disk.isOutOfDescriptors = false
  log.clock.advance(500)
  log.lanes[0]!.close()
  log.writer.finish()
  t.match(verifyLog(log.dataDir), { isWhole: true, records: 66, tailBytes: 0 })
  t.strictSame(decisionIds(await allRecords(log.dataDir)), ids)
})

t.test('a lane without a descriptor left takes no records, and goes on when there is one', async (t) => {
  const log = openBenchLog({ fileBytesMax: 2000 })
  const lane = log.lanes[0]!
  record(lane, 5)
  log.laneDisk.isOutOfDescriptors = true
  record(lane, 5)
  t.notOk(lane.available())
  log.laneDisk.isOutOfDescriptors = false
  log.clock.advance(1000)
  t.ok(lane.available())
  record(lane, 5)
  lane.close()
  log.writer.finish()
  t.match(verifyLog(log.dataDir), { isWhole: true, tailBytes: 0 })
})

t.test('a failed sync ends everything and is not tried again', async (t) => {
  const log = openBenchLog()
  record(log.lanes[0]!, 1)
  log.writer.round()
  log.disk.failsSync = true
  log.clock.advance(25)
  t.throws(() => log.writer.round(), { name: 'SyncFailure' })
  log.lanes[0]!.close()
})

t.test('damage inside a journal that is being read is kept aside and told as a loss', async (t) => {
  const log = openBenchLog()
  const ids = record(log.lanes[0]!, 9)
  const [journal] = listJournals(log.dataDir)
  const fd = openSync(journal!.path, 'r+')
  writeSync(fd, Buffer.alloc(20, 0xff), 0, 20, Math.floor(statSync(journal!.path).size / 2))
  closeSync(fd)
  log.lanes[0]!.close()
  log.writer.finish()
  const records = await allRecords(log.dataDir)
  const kept = decisionIds(records)
  t.equal(kept.length, 8)
  t.ok(kept.every((id) => ids.includes(id)))
  t.match(
    records.filter(({ type }) => type === 'gap'),
    [{ note: { cause: 'journal-damaged', records: 1, from: 5, to: 5, lane: 0 } }],
  )
  t.equal(readdirSync(tornOf(log.dataDir)).length, 1)
  t.match(verifyLog(log.dataDir), { isWhole: true, records: 10 })
})
