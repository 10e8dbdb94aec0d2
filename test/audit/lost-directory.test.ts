/** Directories that are deleted or moved while they are in use: writing to deleted files succeeds, so only a look tells. */
import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { LaneJournal } from '../../src/audit/lane-journal.ts'
import { openAudit } from '../../src/audit/open-audit.ts'
import { segmentsOf } from '../../src/audit/paths.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { sampleDecision, sampleInputs } from './samples.ts'

async function openLog(dataDir: string) {
  const opened = await openAudit({ dataDir, lanes: 1, clock: systemClock })
  if ('kind' in opened) throw new Error(opened.message)
  const { audit } = opened
  const lost = new Promise<string>((resolve) => audit.onFatal(resolve))
  return { audit, lost, lane: new LaneJournal(audit.laneParts(0), systemClock) }
}

/** What the caller of a durable model is told. */
function decide(lane: LaneJournal): Promise<{ written: boolean; receipt: string }> {
  return new Promise((resolve) => {
    lane.decision(
      sampleDecision(),
      sampleInputs,
      (written, receipt, isWithheld) => resolve({ written: written && !isWithheld, receipt }),
      true,
    )
  })
}

function newDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'modelgate-lost-'))
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }))
  return dataDir
}

t.test('a log whose directory is deleted is told to be lost, and takes no more records', async (t) => {
  const dataDir = newDataDir()
  const { audit, lost, lane } = await openLog(dataDir)
  t.equal(lane.available(), true)
  rmSync(dataDir, { recursive: true })
  t.match(await lost, /was deleted or taken/)
  t.equal(lane.available(), false)
  lane.close()
  await audit.close()
})

const WAYS = {
  deleted: (path: string) => rmSync(path, { recursive: true }),
  moved: (path: string) => renameSync(path, `${path}.elsewhere`),
}

for (const [word, lose] of Object.entries(WAYS)) {
  t.test(`no receipt is given for a record in segments that were ${word}`, async (t) => {
    const dataDir = newDataDir()
    const { audit, lost, lane } = await openLog(dataDir)
    t.match(await decide(lane), { written: true, receipt: /^modelgate\// })
    lose(segmentsOf(dataDir))
    t.strictSame(await decide(lane), { written: false, receipt: '' })
    t.match(await lost, /000000000000\.seg was deleted or moved while it was being written$/)
    t.equal(lane.available(), false)
    lane.close()
    await audit.close()
  })
}
