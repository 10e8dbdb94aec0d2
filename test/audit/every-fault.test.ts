/**
 * One fault of the disk at every call that a session of the log makes: opening, recording, checkpoints, new segments,
 * closing. Whatever happens, the next start on a sound disk has every record whose caller was told that it is written,
 * once, and a log that a checker finds whole. Nothing is lost silently.
 *
 * `npm test` takes a part of the calls, `npm run audit-faults` all.
 */
import { rmSync } from 'node:fs'
import t from 'tap'
import { verifyLog } from '../../src/audit/verify/verify-log.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { allRecords, type BenchLog, openBenchLog } from './bench-log.ts'
import { type FailingDisk, failingDisk } from './failing-disk.ts'
import { newFolder } from './new-folder.ts'
import { sampleDecision, sampleInputs } from './samples.ts'

/** Every how many calls; 1: all. */
const EVERY = Number(process.env.AUDIT_FAULTS_EVERY ?? 23)
/** And the death of the process. What a real disk may say of any call; more than one says of some. */
const FAULTS = ['EIO', 'ENOSPC', 'short', 'dies']

interface Told {
  readonly written: Set<string>
  readonly refused: Set<string>
}

/** What a dead run left, then a run over several segments and checkpoints. Ends early when the log is lost. */
function session(dataDir: string, everyDisk: FailingDisk, told: Told): void {
  const clock = new ManualClock()
  const sizes = { segmentBytesMax: 4000, fileBytesMax: 3000 }
  let log: BenchLog | undefined
  try {
    log = openBenchLog({ dataDir, clock, everyDisk, ...sizes })
    for (let turn = 0; turn < 14; turn += 1) {
      for (let index = 0; index < 3; index += 1) record(log, told)
      log.lanes[0]!.flush()
      log.writer.round()
      clock.advance(300)
    }
    log.lanes[0]!.close()
    log.writer.finish()
  } catch {
    // The process would end here. What lanes hold is told to their callers first.
    for (const lane of log?.lanes ?? []) lane.flush()
  }
}

function record({ lanes: [lane] }: BenchLog, { written, refused }: Told): void {
  const decision = sampleDecision()
  if (!lane!.available()) return
  lane!.decision(decision, sampleInputs, (isWritten) => (isWritten ? written : refused).add(decision.id))
}

function prepared(): { dataDir: string; told: Told } {
  const dataDir = newFolder()
  const told = { written: new Set<string>(), refused: new Set<string>() }
  const before = openBenchLog({ dataDir })
  for (let index = 0; index < 5; index += 1) record(before, told)
  before.lanes[0]!.flush()
  before.writer.round()
  for (let index = 0; index < 4; index += 1) record(before, told)
  before.lanes[0]!.close()
  return { dataDir, told }
}

async function outcomeOf(
  at: number,
  how: string,
  lasts: boolean,
): Promise<{ calls: number; problem: string }> {
  const { dataDir, told } = prepared()
  const disk = failingDisk(at, how, lasts)
  session(dataDir, disk, told)
  const problem = await problemAfter(dataDir, told)
  rmSync(dataDir, { recursive: true })
  return { calls: disk.calls, problem }
}

/** Empty: all is as it should be. */
async function problemAfter(dataDir: string, { written, refused }: Told): Promise<string> {
  let log: BenchLog
  try {
    log = openBenchLog({ dataDir })
  } catch (error) {
    return `it does not open: ${(error as Error).message}`
  }
  log.lanes[0]!.close()
  log.writer.finish()
  const verdict = verifyLog(dataDir)
  if (!verdict.isWhole) return `it is not whole: ${JSON.stringify(verdict.firstBad)}`
  const seen = new Map<string, number>()
  for (const found of await allRecords(dataDir))
    if (found.type === 'decision') seen.set(found.decision.id, (seen.get(found.decision.id) ?? 0) + 1)
  for (const id of written) if (seen.get(id) !== 1) return `${id} is there ${seen.get(id) ?? 0} times`
  for (const [id, count] of seen)
    if (count > 1 || !(written.has(id) || refused.has(id))) return `${id} is there ${count} times`
  return ''
}

t.test('without a fault every record is there', async (t) => {
  t.equal((await outcomeOf(0, 'none', false)).problem, '')
})

for (const how of FAULTS) {
  for (const lasts of how === 'short' ? [false] : how === 'dies' ? [true] : [false, true]) {
    const when = lasts ? 'at any call, and from there on,' : 'at any call'
    t.test(`${how} ${when} loses nothing silently`, async (t) => {
      const { calls } = await outcomeOf(0, how, false)
      for (let at = 1; at <= calls; at += EVERY) {
        const { problem } = await outcomeOf(at, how, lasts)
        if (problem !== '') t.fail(`call ${at} of ${calls}: ${problem}`)
      }
      t.ok(calls > 200, `${calls} calls`)
    })
  }
}
