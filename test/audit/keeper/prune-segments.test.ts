/** Retention: what goes, in which order, what stays proven, and what keeps it from going. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { SubjectKeys, subjectOfDay } from '../../../src/audit/capture/subject-keys.ts'
import { liftHold, putHold } from '../../../src/audit/hold.ts'
import { InboxReader } from '../../../src/audit/inbox/inbox-reader.ts'
import { planPrune } from '../../../src/audit/keeper/plan-prune.ts'
import { PruneSegments } from '../../../src/audit/keeper/prune-segments.ts'
import { SealSegments } from '../../../src/audit/keeper/seal-segments.ts'
import { CHECKPOINT_FILE, inboxOf, listSegments } from '../../../src/audit/paths.ts'
import { readLog } from '../../../src/audit/read.ts'
import { tilePath } from '../../../src/audit/tree/tiles.ts'
import { verifyLog } from '../../../src/audit/verify/verify-log.ts'
import { type BenchLog, openBenchLog } from '../bench-log.ts'
import { FaultyDisk } from '../faulty-disk.ts'
import { sampleDecision, sampleInputs } from '../samples.ts'

const HOUR_MS = 3_600_000
const RETENTION_MS = 10 * HOUR_MS

/** Twenty hours of traffic in many small segments. */
function longLog(): BenchLog {
  const log = openBenchLog({ segmentBytesMax: 16 * 1024 })
  for (let hour = 0; hour < 20; hour += 1) {
    for (let index = 0; index < 60; index += 1)
      log.lanes[0]!.decision(sampleDecision({ receivedAt: log.clock.wall() }), sampleInputs, () => {})
    settle(log)
    log.clock.advance(HOUR_MS)
  }
  return log
}

/** Everything is sequenced, synced and under a checkpoint. */
function settle(log: BenchLog): void {
  log.lanes[0]!.flush()
  for (let round = 0; round < 3; round += 1) {
    while (log.writer.round());
    log.clock.advance(1000)
  }
}

/** What the gateway does each second. */
function takeNotes(log: BenchLog): void {
  const lines: string[] = []
  const reader = new InboxReader({
    dataDir: log.dataDir,
    record(type, note) {
      log.lanes[0]!.note(type, note)
      return true
    },
    log: (line) => lines.push(line),
  })
  reader.look()
  settle(log)
  t.strictSame(lines, [])
}

const coveredIn = (dataDir: string) => () =>
  Number(readFileSync(join(dataDir, CHECKPOINT_FILE), 'utf8').split('\n')[1])

function pruning(log: BenchLog, disk = new FaultyDisk()): PruneSegments {
  const { dataDir, clock } = log
  const covered = coveredIn(dataDir)
  return new PruneSegments({ dataDir, disk, clock, covered, retentionMs: RETENTION_MS, isHeld: false })
}

async function pruneAll(log: BenchLog, job: PruneSegments): Promise<void> {
  for (let look = 0; look < 4; look += 1) {
    log.clock.advance(60_000)
    while (await job.step());
    takeNotes(log)
  }
}

async function sequences(dataDir: string): Promise<number[]> {
  const found: number[] = []
  for await (const { place } of readLog(dataDir)) if (place.sequence !== null) found.push(place.sequence)
  return found
}

const firsts = (dataDir: string) => listSegments(dataDir).map(({ first }) => first)
const notesIn = (dataDir: string) => (existsSync(inboxOf(dataDir)) ? readdirSync(inboxOf(dataDir)) : [])
const tile = (dataDir: string, level: number, index: number) =>
  existsSync(join(dataDir, tilePath({ level, index, width: 256 })))

t.test(
  'old segments go after their going is on record; what stays is a whole log and opens as one',
  async (t) => {
    const log = longLog()
    const { dataDir, clock } = log
    const before = firsts(dataDir)
    const job = pruning(log)
    const plan = planPrune(dataDir, new FaultyDisk(), clock.wall() - RETENTION_MS)!
    t.ok(plan.segments.length > 5 && plan.segments.length < before.length - 5, String(plan.segments.length))
    t.equal(await job.step(), false)
    t.equal(notesIn(dataDir).length, 1)
    clock.advance(60_000)
    t.equal(await job.step(), false)
    t.strictSame(firsts(dataDir), before, 'nothing goes before the record is in the log')
    takeNotes(log)
    clock.advance(60_000)
    while (await job.step());
    t.equal(firsts(dataDir)[0], plan.through)
    const left = await sequences(dataDir)
    t.strictSame([left[0], left.length], [plan.through, left.at(-1)! - plan.through + 1], 'no hole')
    const records = []
    for await (const record of readLog(dataDir)) if (record.type === 'prune') records.push(record.note)
    t.match(records, [
      {
        through: plan.through,
        records: plan.records,
        root: plan.root.toString('base64'),
        by: 'audit.retention',
      },
    ])
    const lowest = Math.floor(plan.through / 256)
    t.notOk(tile(dataDir, 0, lowest - 1))
    t.ok(tile(dataDir, 0, lowest))
    log.lanes[0]!.close()
    log.writer.finish()
    const again = openBenchLog({ dataDir, clock })
    again.lanes[0]!.decision(sampleDecision(), sampleInputs, () => {})
    again.lanes[0]!.close()
    again.writer.finish()
    t.equal((await sequences(dataDir)).at(-1)! > left.at(-1)!, true)
    const verdict = verifyLog(dataDir)
    t.match(verdict, { isWhole: true, problems: [], first: plan.through })
    t.match(verdict.completeness, { isComplete: true })
  },
)

t.test('sealed segments go, too', async (t) => {
  const log = longLog()
  const { dataDir, clock } = log
  const sealing = new SealSegments({ dataDir, disk: new FaultyDisk(), covered: coveredIn(dataDir) })
  while (sealing.step());
  await pruneAll(log, pruning(log))
  t.notOk(planPrune(dataDir, new FaultyDisk(), clock.wall() - RETENTION_MS))
  t.ok(firsts(dataDir)[0]! > 0)
})

t.test('a hold keeps everything, by command or by configuration', async (t) => {
  const log = longLog()
  const { dataDir, clock } = log
  const all = firsts(dataDir)
  putHold(dataDir, { at: 1, by: 'counsel', why: 'case 7' })
  const job = pruning(log)
  await pruneAll(log, job)
  t.strictSame([firsts(dataDir), notesIn(dataDir)], [all, []])
  liftHold(dataDir)
  clock.advance(60_000)
  await job.step()
  takeNotes(log)
  putHold(dataDir, { at: 1, by: 'counsel', why: 'case 8' })
  await pruneAll(log, job)
  t.strictSame(firsts(dataDir).slice(0, all.length), all, 'a hold that comes before the deleting prevents it')
  liftHold(dataDir)
  const covered = coveredIn(dataDir)
  const parts = { dataDir, disk: new FaultyDisk(), clock, covered, retentionMs: RETENTION_MS }
  await pruneAll(log, new PruneSegments({ ...parts, isHeld: true }))
  await pruneAll(log, new PruneSegments({ ...parts, isHeld: false, retentionMs: null }))
  t.strictSame(firsts(dataDir).slice(0, all.length), all)
  await pruneAll(log, job)
  t.ok(firsts(dataDir)[0]! > 0)
})

t.test('whoever dies, or fails, in the middle of it is gone on from', async (t) => {
  for (const removals of [0, 2, 6]) {
    const log = longLog()
    const { dataDir } = log
    const disk = new FaultyDisk()
    let left = removals
    disk.remove = (path) => {
      left -= 1
      if (left < 0) throw Object.assign(new Error('EIO'), { code: 'EIO' })
      rmSync(path)
    }
    await t.rejects(pruneAll(log, pruning(log, disk)), { code: 'EIO' })
    await pruneAll(log, pruning(log))
    const found = await sequences(dataDir)
    t.equal(found.length, found.at(-1)! - found[0]! + 1, 'no hole')
    t.equal(found[0], firsts(dataDir)[0])
    log.lanes[0]!.close()
    log.writer.finish()
    openBenchLog({ dataDir, clock: log.clock }).writer.finish()
  }
})

t.test('keys of days go when their bodies do', async (t) => {
  const log = openBenchLog()
  const { dataDir, clock, digester } = log
  const keys = new SubjectKeys(dataDir, new FaultyDisk())
  const old = subjectOfDay(digester, clock.wall() - 5 * 24 * HOUR_MS)
  keys.keyFor(old, clock.wall() - 5 * 24 * HOUR_MS)
  keys.keyFor(subjectOfDay(digester, clock.wall()), clock.wall())
  await pruning(log).step()
  t.equal(new SubjectKeys(dataDir, new FaultyDisk()).destroyDays(Number.MAX_SAFE_INTEGER), 1, 'one is left')
  log.writer.finish()
})

t.test('nothing is due while all is young, and the newest segment never is', async (t) => {
  const { dataDir, clock } = longLog()
  t.equal(planPrune(dataDir, new FaultyDisk(), clock.wall() - 100 * HOUR_MS), null)
  const plan = planPrune(dataDir, new FaultyDisk(), clock.wall() + HOUR_MS)
  t.equal(plan!.segments.length, listSegments(dataDir).length - 1)
})
