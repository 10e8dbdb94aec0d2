/** What is checked of a log before it is opened, when part of it is sealed already. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkLog } from '../../src/audit/check-log.ts'
import { systemDisk } from '../../src/audit/disk.ts'
import { openIdentity } from '../../src/audit/identity.ts'
import { SealSegments } from '../../src/audit/keeper/seal-segments.ts'
import { listSegments } from '../../src/audit/paths.ts'
import { problemOf } from '../../src/audit/repair.ts'
import { allRecords, decisionIds, openBenchLog } from './bench-log.ts'
import { newFolder } from './new-folder.ts'
import { sampleDecision, sampleInputs } from './samples.ts'

/** Several segments, the older ones sealed; the last records are behind the checkpoint. */
function partlySealed(): { dataDir: string; ids: string[] } {
  const dataDir = newFolder()
  const log = openBenchLog({ dataDir, segmentBytesMax: 4000 })
  const [lane] = log.lanes
  const ids: string[] = []
  const record = (count: number) => {
    for (let index = 0; index < count; index += 1) {
      const decision = sampleDecision()
      ids.push(decision.id)
      lane!.decision(decision, sampleInputs, () => {})
      lane!.flush()
      log.writer.round()
    }
  }
  record(60)
  log.clock.advance(1000)
  log.writer.round()
  const covered = checkLog(dataDir, openIdentity(dataDir), systemDisk).checkpoint.size
  record(30)
  lane!.close()
  const sealing = new SealSegments({
    dataDir,
    disk: systemDisk,
    covered: () => covered,
  })
  while (sealing.step());
  return { dataDir, ids }
}

t.test('segments that a checkpoint covers are sealed, and a sealed log is opened like another', async (t) => {
  const { dataDir, ids } = partlySealed()
  const segments = listSegments(dataDir)
  const sealed = segments.filter(({ isSealed }) => isSealed)
  t.ok(sealed.length >= 4, `${sealed.length} are sealed`)
  t.ok(segments.length - sealed.length >= 3, 'those behind the checkpoint are not')
  const log = openBenchLog({ dataDir })
  t.match(log.recovery, { torn: [], missing: 0 })
  log.lanes[0]!.close()
  t.strictSame(decisionIds(await allRecords(dataDir)), ids)
})

t.test('any byte of a sealed segment that was altered is found, and its place told', async (t) => {
  const { dataDir } = partlySealed()
  const identity = openIdentity(dataDir)
  const { path, file } = listSegments(dataDir).find(({ isSealed, first }) => isSealed && first > 0)!
  const good = readFileSync(path)
  const index = good.readUIntLE(good.length - 80, 6)
  t.ok(index > 0)
  for (let at = 0; at < good.length - 400; at += 37) {
    const bytes = Buffer.from(good)
    bytes[at]! ^= 0x10
    writeFileSync(path, bytes)
    t.throws(
      () => checkLog(dataDir, identity, systemDisk),
      { name: 'LogCorrupt', message: new RegExp(`^${file.replace('.', '\\.')}, byte \\d+, sequence \\d+: `) },
      `byte ${at} of ${good.length}`,
    )
  }
  rmSync(path)
  t.throws(() => checkLog(dataDir, identity, systemDisk), {
    name: 'LogCorrupt',
    message: /it begins at|missing/,
  })
})

t.test('tiles that are missing or altered are found', async (t) => {
  const { dataDir } = partlySealed()
  const identity = openIdentity(dataDir)
  const [name] = readdirSync(join(dataDir, 'tile/0'))
  const folder = join(dataDir, 'tile/0', name!)
  const tile = join(folder, readdirSync(folder)[0]!)
  const good = readFileSync(tile)
  for (const bytes of [Buffer.concat([Buffer.alloc(32), good.subarray(32)]), good.subarray(0, 64)]) {
    writeFileSync(tile, bytes)
    t.throws(() => checkLog(dataDir, identity, systemDisk), {
      name: 'LogCorrupt',
      message: /^the tiles of the log/,
    })
  }
  rmSync(join(dataDir, 'tile'), { recursive: true })
  t.throws(() => checkLog(dataDir, identity, systemDisk), { message: /tile\/0\/000.* is missing/ })
  t.equal(problemOf(dataDir), null, 'the segments have what they are made of')
  t.doesNotThrow(() => checkLog(dataDir, identity, systemDisk))
  writeFileSync(tile, good.subarray(1))
  const { path } = listSegments(dataDir)[0]!
  const bytes = readFileSync(path)
  bytes[300]! ^= 1
  writeFileSync(path, bytes)
  t.match(problemOf(dataDir), /^the tiles of the log/, 'not out of records that are not the ones')
})
