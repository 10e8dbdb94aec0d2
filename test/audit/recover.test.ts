/**
 * Opening a log that was not closed. A "crash" here is a log whose writer simply never finishes; what is on disk
 * is then damaged by hand. Real processes and real kills are in open-audit.test.ts.
 */
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findDecision } from '../../src/audit/find.ts'
import type { LaneJournal } from '../../src/audit/lane-journal.ts'
import { listJournals, listSegments, segmentPath } from '../../src/audit/paths.ts'
import { verifyLog } from '../../src/audit/verify/verify-log.ts'
import { allRecords, decisionIds, openBenchLog } from './bench-log.ts'
import { sampleDecision, sampleInputs, sampleOpened, sampleStream } from './samples.ts'

function record(lane: LaneJournal, count: number): string[] {
  const ids = Array.from({ length: count }, () => {
    const decision = sampleDecision()
    lane.decision(decision, sampleInputs, () => {})
    return decision.id
  })
  lane.flush()
  return ids
}

/** A run that sequenced `sequenced` records, left `waiting` in the journal, and died. */
function crashed(sequenced: number, waiting: number) {
  const log = openBenchLog()
  const ids = record(log.lanes[0]!, sequenced)
  log.writer.round()
  ids.push(...record(log.lanes[0]!, waiting))
  log.lanes[0]!.close()
  return { dataDir: log.dataDir, ids }
}

t.test('what a dead run left is in the log exactly once, in order', async (t) => {
  const { dataDir, ids } = crashed(10, 7)
  const log = openBenchLog({ dataDir })
  t.match(log.recovery, { journals: 1, replayed: 7, known: 10, digestsLost: 21, missing: 0, torn: [] })
  t.equal(listJournals(dataDir).length, 0)
  const records = await allRecords(dataDir)
  t.strictSame(decisionIds(records), ids)
  t.match(records.at(10), { digests: { key: 'crash', request: 'crash', answer: 'crash' } })
  t.match(records.at(-1), { type: 'recovery', note: { replayed: 7, known: 10 } })
  t.match(verifyLog(dataDir), { isWhole: true, records: 19 })
  log.lanes[0]!.close()
})

t.test(
  'that an answer was streamed is known after a crash too, and its end when that was written',
  async (t) => {
    const before = openBenchLog()
    const lane = before.lanes[0]!
    const [ended, cut] = [sampleOpened(), sampleOpened()]
    for (const opened of [ended, cut])
      lane.decision(opened, { ...sampleInputs, answer: 'streamed' }, () => {})
    const end = sampleStream(ended)
    lane.stream(end)
    lane.close()
    const log = openBenchLog({ dataDir: before.dataDir })
    t.match(log.recovery, { replayed: 3, digestsLost: 4 }, 'a streamed answer has no digest to lose')
    const digests = { key: 'crash', request: 'crash', answer: 'streamed' }
    t.match(await findDecision(log.dataDir, ended.id), { decision: { digests }, stream: { stream: end } })
    t.match(await findDecision(log.dataDir, cut.id), { decision: { digests }, stream: null })
    log.lanes[0]!.close()
  },
)

t.test('a log that was closed is opened without a word', async (t) => {
  const log = openBenchLog()
  record(log.lanes[0]!, 3)
  log.lanes[0]!.close()
  log.writer.finish()
  const again = openBenchLog({ dataDir: log.dataDir })
  t.match(again.recovery, { journals: 0, replayed: 0, known: 0, torn: [] })
  const ids = record(again.lanes[0]!, 2)
  again.lanes[0]!.close()
  again.writer.finish()
  t.match(verifyLog(log.dataDir), { isWhole: true, records: 6, first: 0, last: 5, segments: 2 })
  t.equal((await findDecision(log.dataDir, ids[1]!))?.decision?.place.sequence, 5)
})

t.test('dying in the middle of recovery loses and repeats nothing', async (t) => {
  const { dataDir, ids } = crashed(4, 6)
  const journal = listJournals(dataDir)[0]!
  const copy = join(dataDir, 'copy')
  copyFileSync(journal.path, copy)
  openBenchLog({ dataDir }).lanes[0]!.close()
  // As if it had died after appending and before deleting the journal.
  copyFileSync(copy, journal.path)
  const log = openBenchLog({ dataDir })
  t.match(log.recovery, { replayed: 0, known: 10 })
  t.strictSame(decisionIds(await allRecords(dataDir)), ids)
  log.lanes[0]!.close()
})

t.test('a journal cut at any place gives all records before the cut; the rest is kept aside', async (t) => {
  const { dataDir, ids } = crashed(0, 6)
  const journal = listJournals(dataDir)[0]!
  const bytes = readFileSync(journal.path)
  const cuts = [0, 10, 64, 65, 200, Math.floor(bytes.length / 2), bytes.length - 1, bytes.length]
  for (const cut of cuts) {
    const folder = join(dataDir, `cut-${cut}`)
    mkdirSync(join(folder, 'journal'), { recursive: true })
    writeFileSync(join(folder, 'journal', journal.name), bytes.subarray(0, cut))
    const log = openBenchLog({ dataDir: folder })
    const { replayed, torn, missing } = log.recovery
    t.strictSame(decisionIds(await allRecords(folder)), ids.slice(0, replayed), `cut at ${cut}`)
    t.equal(missing, 0)
    const tornBytes = torn.reduce((sum, part) => sum + part.bytes, 0)
    const whole = Math.max(0, cut - 64 - tornBytes)
    t.ok(tornBytes === 0 || tornBytes < 400 || cut < 128)
    for (const part of torn) {
      const kept = readFileSync(join(folder, part.kept))
      t.strictSame(kept, bytes.subarray(part.at, part.at + part.bytes), 'the torn bytes, exactly')
    }
    if (cut === bytes.length) t.equal(replayed, 6)
    t.ok(whole >= 0)
    log.lanes[0]!.close()
  }
})

t.test(
  'damage in the middle of a journal costs one record, which is counted, and is kept aside',
  async (t) => {
    const { dataDir, ids } = crashed(0, 9)
    const journal = listJournals(dataDir)[0]!
    const bytes = readFileSync(journal.path)
    bytes.fill(0xee, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 12)
    writeFileSync(journal.path, bytes)
    const log = openBenchLog({ dataDir })
    t.match(log.recovery, {
      replayed: 8,
      missing: 1,
      torn: [{ where: 'middle', file: `journal/${journal.name}` }],
    })
    t.ok(existsSync(join(dataDir, log.recovery.torn[0]!.kept)))
    t.strictSame(
      decisionIds(await allRecords(dataDir)),
      ids.filter((_, index) => index !== 4),
    )
    log.lanes[0]!.close()
  },
)

t.test('a journal with a broken header is replayed all the same, and kept whole', async (t) => {
  const { dataDir, ids } = crashed(0, 3)
  const journal = listJournals(dataDir)[0]!
  const bytes = readFileSync(journal.path)
  bytes[3]! ^= 0xff
  writeFileSync(journal.path, bytes)
  const log = openBenchLog({ dataDir })
  t.match(log.recovery, { replayed: 3, torn: [{ where: 'file', bytes: bytes.length }] })
  t.strictSame(decisionIds(await allRecords(dataDir)), ids)
  log.lanes[0]!.close()
})

t.test(
  'the torn tail of the last segment is cut off, kept, and its records come from the journal',
  async (t) => {
    const { dataDir, ids } = crashed(8, 2)
    const segment = listSegments(dataDir).at(-1)!
    const size = statSync(segment.path).size
    truncateSync(segment.path, size - 11)
    t.match(verifyLog(dataDir), { isWhole: true, records: 8 }, 'a torn end is no damage')
    const log = openBenchLog({ dataDir })
    t.match(log.recovery, {
      replayed: 3,
      known: 7,
      torn: [{ where: 'tail', file: `segments/${segment.name}` }],
    })
    t.strictSame(decisionIds(await allRecords(dataDir)), ids)
    t.match(verifyLog(dataDir), { isWhole: true, records: 12, tailBytes: 0 })
    log.lanes[0]!.close()
  },
)

t.test('garbage behind the last segment is kept aside', async (t) => {
  const { dataDir, ids } = crashed(3, 0)
  appendFileSync(listSegments(dataDir)[0]!.path, Buffer.alloc(5000, 0xab))
  const log = openBenchLog({ dataDir })
  t.match(log.recovery, { torn: [{ bytes: 5000, where: 'tail' }] })
  t.strictSame(decisionIds(await allRecords(dataDir)), ids)
  log.lanes[0]!.close()
})

t.test(
  'damage behind the last checkpoint is cut off and kept, and whole records behind it count',
  async (t) => {
    const { dataDir, ids } = crashed(9, 0)
    const segment = listSegments(dataDir)[0]!
    const bytes = readFileSync(segment.path)
    const place = Math.floor(bytes.length / 2)
    bytes[place]! ^= 1
    writeFileSync(segment.path, bytes)
    const log = openBenchLog({ dataDir })
    const { recovery } = log
    t.match(recovery, { replayed: 1, known: 8, salvaged: 5, missing: 0, torn: [{ where: 'middle' }] })
    const [torn] = recovery.torn
    t.ok(torn!.at <= place && torn!.at > place - 600)
    t.strictSame(readFileSync(join(dataDir, torn!.kept)), bytes.subarray(torn!.at), 'the damage is evidence')
    t.match(verifyLog(dataDir), { isWhole: true, records: 11 })
    t.strictSame(new Set(decisionIds(await allRecords(dataDir))), new Set(ids), 'the journal still had it')
    log.lanes[0]!.close()
  },
)

t.test('damage that a checkpoint covers is refused, and nothing is changed', async (t) => {
  const before = openBenchLog()
  record(before.lanes[0]!, 9)
  before.writer.round()
  before.clock.advance(1000)
  before.writer.round()
  record(before.lanes[0]!, 2)
  before.writer.round()
  before.lanes[0]!.close()
  const { dataDir } = before
  const segment = listSegments(dataDir)[0]!
  const good = readFileSync(segment.path)
  const refused = (words: RegExp) =>
    t.throws(() => openBenchLog({ dataDir }), { name: 'LogCorrupt', message: words })
  for (const at of [3, 40, 70, 100, 140, Math.floor(good.length / 2)]) {
    const bytes = Buffer.from(good)
    bytes[at]! ^= 1
    writeFileSync(segment.path, bytes)
    refused(/^segments\/000000000000\.seg, byte \d+, sequence \d: /)
    t.strictSame(readFileSync(segment.path), bytes)
  }
  writeFileSync(segment.path, good.subarray(0, 1000))
  refused(/^segments\/000000000000\.seg, byte|^records from sequence/)
  renameSync(segment.path, segmentPath(dataDir, 1))
  refused(/^segments\/000000000001\.seg, byte 0/)
  rmSync(segmentPath(dataDir, 1))
  refused(/^records from sequence 0 on are missing; the checkpoint covers 10/)
  writeFileSync(segment.path, good)
  const checkpoint = join(dataDir, 'checkpoint')
  const note = readFileSync(checkpoint, 'utf8')
  writeFileSync(checkpoint, note.replace('\n10\n', '\n9\n'))
  refused(/^checkpoint: the signature/)
  rmSync(checkpoint)
  refused(/^checkpoint is missing/)
  writeFileSync(checkpoint, note)
  openBenchLog({ dataDir }).lanes[0]!.close()
})

t.test('a segment that never got a record gives its name back', async (t) => {
  const { dataDir, ids } = crashed(2, 0)
  writeFileSync(segmentPath(dataDir, 3), readFileSync(segmentPath(dataDir, 0)).subarray(0, 30))
  const log = openBenchLog({ dataDir })
  ids.push(...record(log.lanes[0]!, 1))
  log.lanes[0]!.close()
  log.writer.finish()
  t.match(verifyLog(dataDir), { isWhole: true, records: 5 })
  t.strictSame(decisionIds(await allRecords(dataDir)), ids)
})

t.test('a run begins after every run before it, whatever the clock says', async (t) => {
  const { dataDir } = crashed(1, 1)
  const first = listJournals(dataDir)[0]!.start
  const log = openBenchLog({ dataDir })
  t.ok(log.parts[0]!.start > first, 'the clock stood still')
  log.lanes[0]!.close()
})

t.test('verify names what was removed, exchanged or renamed', async (t) => {
  const log = openBenchLog({ segmentBytesMax: 8000 })
  for (let turn = 0; turn < 12; turn += 1) {
    record(log.lanes[0]!, 5)
    log.writer.round()
  }
  log.lanes[0]!.close()
  log.writer.finish()
  const { dataDir } = log
  const [first, second, third] = listSegments(dataDir)
  const bytes = readFileSync(second!.path)
  writeFileSync(second!.path, readFileSync(third!.path))
  t.match(verifyLog(dataDir).firstBad, {
    file: `segments/${second!.name}`,
    at: 0,
    sequence: second!.first,
  })
  truncateSync(second!.path, 0)
  t.notOk(verifyLog(dataDir).isWhole)
  writeFileSync(second!.path, bytes)
  t.ok(verifyLog(dataDir).isWhole)
  truncateSync(first!.path, statSync(first!.path).size - 1)
  t.match(verifyLog(dataDir).firstBad, { file: `segments/${first!.name}` }, 'a tail is only torn at the end')
})
