/** Opening after a crash costs what the journals left behind cost, not what the dead run was long. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { KnownRecords } from '../../src/audit/known-records.ts'
import { listJournals, listSegments } from '../../src/audit/paths.ts'
import { verifyLog } from '../../src/audit/verify/verify-log.ts'
import { allRecords, type BenchLog, decisionIds, openBenchLog } from './bench-log.ts'
import { sampleDecision, sampleInputs } from './samples.ts'

function record({ lanes }: BenchLog, lane: number, count: number): string[] {
  const ids = Array.from({ length: count }, () => {
    const decision = sampleDecision()
    lanes[lane]!.decision(decision, sampleInputs, () => {})
    return decision.id
  })
  lanes[lane]!.flush()
  return ids
}

/** A run over 40 segments and more that died with 3 records of each lane not yet sequenced; lane 1 is seldom used. */
function longRun() {
  const log = openBenchLog({ lanes: 2, segmentBytesMax: 8000, fileBytesMax: 8000 })
  const ids = record(log, 1, 2)
  for (let turn = 0; turn < 120; turn += 1) {
    ids.push(...record(log, 0, 7))
    log.writer.round()
    log.clock.advance(30)
    log.writer.round()
  }
  ids.push(...record(log, 0, 3), ...record(log, 1, 3))
  for (const lane of log.lanes) lane.close()
  return { dataDir: log.dataDir, ids }
}

const segmentsOpened = ({ disk }: BenchLog) =>
  new Set(disk.opened.filter((path) => path.endsWith('.seg'))).size

t.test('of a long run only the segments the journals reach back to are read', async (t) => {
  const { dataDir, ids } = longRun()
  const segments = listSegments(dataDir).length
  t.ok(segments > 40, `${segments} segments`)
  t.equal(listJournals(dataDir).filter(({ lane }) => lane === 1)[0]?.number, 1, 'a journal as old as the run')
  const log = openBenchLog({ dataDir })
  // One more is opened: the new one.
  t.ok(segmentsOpened(log) <= 5, `${segmentsOpened(log)} segments opened`)
  t.match(log.recovery, { replayed: 6, missing: 0, torn: [] })
  const found = decisionIds(await allRecords(dataDir))
  t.equal(found.length, ids.length)
  t.strictSame(new Set(found), new Set(ids))
  t.ok(verifyLog(dataDir).isWhole)
  for (const lane of log.lanes) lane.close()
})

t.test('a lane that showed what its oldest journal begins with needs no mark', async (t) => {
  const { dataDir, ids } = longRun()
  const [seldom] = listJournals(dataDir).filter(({ lane }) => lane === 1)
  const kept = readFileSync(seldom!.path)
  // The journal ends behind its header: nothing of this lane is waiting.
  writeFileSync(seldom!.path, kept.subarray(0, 128))
  const log = openBenchLog({ dataDir })
  t.ok(segmentsOpened(log) <= 5)
  t.equal(log.recovery.replayed, 3)
  t.equal(decisionIds(await allRecords(dataDir)).length, ids.length - 3)
  for (const lane of log.lanes) lane.close()
})

t.test('dying in recovery of a long run, and again, still repeats nothing', async (t) => {
  const { dataDir, ids } = longRun()
  const journals = listJournals(dataDir)
  for (const { path, name } of journals) copyFileSync(path, join(dataDir, name))
  for (let death = 0; death < 2; death += 1) {
    for (const lane of openBenchLog({ dataDir }).lanes) lane.close()
    // As if it had died before deleting them; the second time the oldest had gone already.
    for (const { path, name } of journals.slice(death)) copyFileSync(join(dataDir, name), path)
  }
  const log = openBenchLog({ dataDir })
  t.equal(log.recovery.replayed, 0)
  const found = decisionIds(await allRecords(dataDir))
  t.equal(found.length, ids.length)
  t.strictSame(new Set(found), new Set(ids))
  for (const lane of log.lanes) lane.close()
})

t.test('more records than a set can hold are known in next to no memory', async (t) => {
  const known = new KnownRecords([{ start: 7, lane: 0, first: 5 }])
  const count = 2 ** 24 + 10
  const origin = { start: 7, lane: 0, sequence: 0 }
  const before = process.memoryUsage().heapUsed
  for (origin.sequence = 6; origin.sequence < count; origin.sequence += 1) known.see(origin, 7)
  t.ok(process.memoryUsage().heapUsed - before < 50_000_000)
  t.notOk(known.isComplete)
  t.notOk(known.has(7, 0, 5))
  t.ok(known.has(7, 0, 6) && known.has(7, 0, count - 1))
  t.notOk(known.has(7, 0, count) || known.has(7, 1, 6) || known.has(8, 0, 6))
})

t.test('what is known is exact whatever the order of segments, holes and repetitions', async (t) => {
  const known = new KnownRecords([{ start: 7, lane: 0, first: 10 }])
  const seen = [30, 31, 33, 20, 21, 22, 33, 25, 12, 13, 11]
  for (const sequence of seen) known.see({ start: 7, lane: 0, sequence }, 7)
  for (let sequence = 1; sequence < 40; sequence += 1)
    t.equal(known.has(7, 0, sequence), seen.includes(sequence), `${sequence}`)
  t.notOk(known.isComplete)
  known.see({ start: 7, lane: 0, sequence: 9 }, 8)
  t.notOk(known.isComplete, 'a later run says nothing about the order')
  known.see({ start: 7, lane: 0, sequence: 9 }, 7)
  t.ok(known.isComplete)
  t.notOk(known.has(7, 0, 9), 'no journal holds it any more')
  known.mark(7, 0, 15)
  t.ok(known.has(7, 0, 14) && !known.has(7, 0, 16))
})
