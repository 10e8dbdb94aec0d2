/**
 * What a log tells, once it is opened again, of the requests that were under way when its process died. A "crash" is
 * a log that nobody finishes; real kills are in test/journeys/kill-9-loses-nothing-that-was-answered.test.ts.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { CELL_BYTES, PAGE_BYTES, type RequestUnderWay } from '../../../src/audit/inflight/cell.ts'
import { InflightFile } from '../../../src/audit/inflight/inflight-file.ts'
import { listInflight } from '../../../src/audit/paths.ts'
import { verifyLog } from '../../../src/audit/verify/verify-log.ts'
import { allRecords, type BenchLog, decisionIds, type LogOptions, openBenchLog } from '../bench-log.ts'
import { sampleDecision, sampleInputs } from '../samples.ts'

interface Lane extends BenchLog {
  readonly file: InflightFile
}

function openLane(options: LogOptions = {}): Lane {
  const log = openBenchLog(options)
  const file = new InflightFile(log.parts[0]!, log.clock, { slotsMax: 64, disk: log.laneDisk })
  return { ...log, file }
}

function begin({ lanes, file }: Lane, more: Partial<RequestUnderWay> = {}) {
  const record = sampleDecision()
  const { id, receivedAt, generation, configHash } = record
  const own = { id, receivedAt, generation, configHash, model: 'fraud', version: 'v2' }
  const request = { ...own, afterMs: 1.5, role: 'canary' as const, ...more }
  const slot = file.begin(request, lanes[0]!.lastSequence)
  file.write()
  return { record, slot }
}

type Begun = ReturnType<typeof begin>

function decide({ lanes, file }: Lane, { record, slot }: Begun): void {
  lanes[0]!.decision(record, sampleInputs, (written) => file.end(slot, written))
  file.decided(slot, lanes[0]!.lastSequence)
}

/** Whatever was written stays; nothing of the process does. */
function die({ lanes }: Lane): void {
  lanes[0]!.flush()
}

const unknownIn = async (dataDir: string): Promise<string[]> =>
  (await allRecords(dataDir)).flatMap((record) =>
    record.type === 'decision' && record.decision.fault?.code === 'unknown_crash' ? [record.decision.id] : [],
  )

t.test('who had no record gets one that says what is known, and who had keeps theirs', async (t) => {
  const lane = openLane()
  const [sequenced, waiting, open] = [begin(lane), begin(lane), begin(lane)]
  decide(lane, sequenced)
  lane.lanes[0]!.flush()
  lane.writer.round()
  decide(lane, waiting)
  die(lane)
  const log = openBenchLog({ dataDir: lane.dataDir })
  t.match(log.recovery, { unknownCrash: 1, replayed: 1, known: 1, torn: [] })
  const records = await allRecords(log.dataDir)
  t.strictSame(
    decisionIds(records),
    [sequenced, waiting, open].map(({ record }) => record.id),
  )
  const told = records.find((record) => record.type === 'decision' && record.decision.id === open.record.id)
  t.match(told, {
    decision: {
      receivedAt: open.record.receivedAt,
      generation: open.record.generation,
      configHash: open.record.configHash,
      model: 'fraud',
      served: '',
      durationMs: -1,
      status: 0,
      fault: { code: 'unknown_crash' },
      answer: null,
      attempts: [
        { version: 'v2', role: 'canary', afterMs: 1.5, endpoint: '', totalMs: -1, verdict: 'neutral' },
      ],
    },
    digests: { key: 'crash', request: 'crash', answer: 'crash' },
  })
  t.match(records.at(-1), { type: 'recovery', note: { unknownCrash: 1 } })
  t.match(verifyLog(log.dataDir), { isWhole: true })
  t.strictSame(listInflight(log.dataDir), [])
  log.lanes[0]!.close()
})

t.test('dying in the middle of opening tells nobody twice', async (t) => {
  const lane = openLane()
  const open = [begin(lane), begin(lane)]
  const done = begin(lane)
  decide(lane, done)
  die(lane)
  const file = listInflight(lane.dataDir)[0]!
  const copy = join(lane.dataDir, 'copy')
  copyFileSync(file.path, copy)
  openBenchLog({ dataDir: lane.dataDir }).lanes[0]!.close()
  // As if it had died before the file was removed, twice.
  for (const unknownCrash of [0, 0]) {
    copyFileSync(copy, file.path)
    const log = openBenchLog({ dataDir: lane.dataDir })
    t.equal(log.recovery.unknownCrash, unknownCrash)
    log.lanes[0]!.close()
  }
  const ids = open.map(({ record }) => record.id)
  t.strictSame(await unknownIn(lane.dataDir), ids)
  t.strictSame(decisionIds(await allRecords(lane.dataDir)).sort(), [done.record.id, ...ids].sort())
})

t.test('segments are read no further back than the file was tidied', async (t) => {
  const lane = openLane({ segmentBytesMax: 4096 })
  const old = begin(lane)
  for (let count = 0; count < 60; count += 1) {
    decide(lane, begin(lane))
    lane.lanes[0]!.flush()
    lane.writer.round()
  }
  lane.file.tidy(lane.lanes[0]!.lastSequence, true)
  const stale = begin(lane)
  decide(lane, stale)
  die(lane)
  lane.writer.finish()
  const log = openBenchLog({ dataDir: lane.dataDir })
  t.equal(log.recovery.unknownCrash, 1)
  t.ok(log.segmentsRead <= 3, `${log.segmentsRead} segments read of many`)
  t.strictSame(await unknownIn(lane.dataDir), [old.record.id])
  log.lanes[0]!.close()
})

t.test('after another start of the machine how far it was tidied is not believed', async (t) => {
  const lane = openLane()
  const done = begin(lane)
  decide(lane, done)
  lane.lanes[0]!.flush()
  lane.writer.round()
  const file = listInflight(lane.dataDir)[0]!
  const before = readFileSync(file.path)
  lane.file.tidy(lane.lanes[0]!.lastSequence, true)
  die(lane)
  // The page of the requests did not get onto the disk any more, the head did.
  const bytes = readFileSync(file.path)
  before.copy(bytes, PAGE_BYTES, PAGE_BYTES)
  writeFileSync(file.path, withOtherBoot(bytes))
  const log = openBenchLog({ dataDir: lane.dataDir })
  t.equal(log.recovery.unknownCrash, 0)
  log.lanes[0]!.close()
})

/** A head whose checksum is wrong says nothing of its boot, like one of another boot. */
function withOtherBoot(bytes: Buffer): Buffer {
  bytes[20]! ^= 1
  return bytes
}

t.test('damaged cells are kept aside and counted, and the others are told', async (t) => {
  const lane = openLane()
  const open = [begin(lane), begin(lane), begin(lane)]
  die(lane)
  const file = listInflight(lane.dataDir)[0]!
  const bytes = readFileSync(file.path)
  bytes[PAGE_BYTES + CELL_BYTES + 30]! ^= 1
  writeFileSync(file.path, bytes)
  const log = openBenchLog({ dataDir: lane.dataDir })
  const at = PAGE_BYTES + CELL_BYTES
  t.match(log.recovery, {
    unknownCrash: 2,
    torn: [{ file: `inflight/${file.name}`, at, bytes: CELL_BYTES, where: 'middle' }],
  })
  const kept = readFileSync(join(lane.dataDir, log.recovery.torn[0]!.kept))
  t.strictSame(kept, bytes.subarray(at, at + CELL_BYTES))
  t.strictSame(await unknownIn(lane.dataDir), [open[0]!.record.id, open[2]!.record.id])
  log.lanes[0]!.close()
})

t.test('a file of a later form is kept aside whole', async (t) => {
  const lane = openLane()
  const [path, bytes] = [join(lane.dataDir, 'inflight', '0-99.ring'), Buffer.alloc(PAGE_BYTES, 7)]
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
  const log = openBenchLog({ dataDir: lane.dataDir })
  t.ok(log.recovery.torn.length > 0)
  t.notOk(existsSync(path))
  log.lanes[0]!.close()
})

t.test('a file without requests costs no reading and no words', async (t) => {
  const lane = openLane({ segmentBytesMax: 4096 })
  for (let count = 0; count < 60; count += 1) decide(lane, begin(lane))
  lane.lanes[0]!.flush()
  lane.writer.round()
  lane.file.tidy(lane.lanes[0]!.lastSequence, true)
  lane.lanes[0]!.close()
  lane.writer.finish()
  const log = openBenchLog({ dataDir: lane.dataDir })
  t.match(log.recovery, { journals: 0, unknownCrash: 0, torn: [] })
  t.equal(log.segmentsRead, 1)
  t.strictSame(listInflight(lane.dataDir), [])
  log.lanes[0]!.close()
})

const step = fc.constantFrom('begin', 'decide', 'flush', 'round', 'tidy')

t.test('wherever it dies, everybody is in the log exactly once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(step, fc.nat()), { maxLength: 60 }), async (steps) => {
      const lane = openLane({ segmentBytesMax: 4096 })
      const open: Begun[] = []
      const all: string[] = []
      for (const [kind, which] of steps) {
        if (kind === 'begin') {
          open.push(begin(lane))
          all.push(open.at(-1)!.record.id)
        } else if (kind === 'decide' && open.length > 0) {
          decide(lane, open.splice(which % open.length, 1)[0]!)
        } else if (kind === 'flush') lane.lanes[0]!.flush()
        else if (kind === 'round') lane.writer.round()
        else if (kind === 'tidy') lane.file.tidy(lane.lanes[0]!.lastSequence, true)
      }
      die(lane)
      const log = openBenchLog({ dataDir: lane.dataDir })
      log.lanes[0]!.close()
      const found = decisionIds(await allRecords(lane.dataDir))
      const isExact = JSON.stringify(found.sort()) === JSON.stringify(all.sort())
      return isExact && log.recovery.unknownCrash === open.length
    }),
    { numRuns: 30 },
  )
})
