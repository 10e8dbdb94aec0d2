/** A directory that is deleted while it is in use: writing to deleted files succeeds, so only a look tells. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { LaneJournal } from '../../src/audit/lane-journal.ts'
import { openAudit } from '../../src/audit/open-audit.ts'
import { systemClock } from '../../src/kernel/clock.ts'

t.test('a log whose directory is deleted is told to be lost, and takes no more records', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'modelgate-lost-'))
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }))
  const opened = await openAudit({ dataDir, lanes: 1, clock: systemClock })
  if ('kind' in opened) throw new Error(opened.message)
  const { audit } = opened
  const lane = new LaneJournal(audit.laneParts(0), systemClock)
  t.equal(lane.available(), true)
  const lost = new Promise<string>((resolve) => audit.onFatal(resolve))
  rmSync(dataDir, { recursive: true })
  t.match(await lost, /was deleted or taken/)
  t.equal(lane.available(), false)
  lane.close()
  await audit.close()
})
