/** The keeper's job: what it makes, what it makes again, what it removes, and how dying in the middle leaves things. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemDisk } from '../../../src/audit/disk.ts'
import { openAnalysis } from '../../../src/audit/index/analysis.ts'
import { dropIndex, IndexSegments } from '../../../src/audit/index/index-segments.ts'
import { openSource } from '../../../src/audit/index/log-source.ts'
import { indexOf, isIntact, readManifest, tablePath } from '../../../src/audit/index/manifest.ts'
import { SealSegments } from '../../../src/audit/keeper/seal-segments.ts'
import { listSegments } from '../../../src/audit/paths.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { allRecords } from '../bench-log.ts'
import { openSmallLog, TURN, turn } from './small-log.ts'

const AT = 1_790_000_000_000

function closedLog(): { dataDir: string; names: () => string[] } {
  const log = openSmallLog()
  for (let round = 0; round < 16; round += 1) {
    turn(log.lanes[0]!, AT)
    log.writer.round()
  }
  log.lanes[0]!.close()
  log.writer.finish()
  return { dataDir: log.dataDir, names: () => readdirSync(indexOf(log.dataDir)).sort() }
}

async function toTheEnd(keeper: IndexSegments): Promise<void> {
  while (await keeper.step());
}

t.test('each closed segment gets an index, one a step; the last one may still grow', async (t) => {
  const { dataDir, names } = closedLog()
  const segments = listSegments(dataDir)
  const keeper = new IndexSegments(dataDir, systemClock)
  t.equal(await keeper.step(), true)
  t.equal(keeper.indexed, 1)
  await toTheEnd(keeper)
  t.equal(keeper.indexed, segments.length - 1)
  t.equal(await keeper.step(), false)
  const records = await allRecords(dataDir)
  for (const [index, { first }] of segments.slice(0, -1).entries()) {
    const manifest = readManifest(dataDir, { first })!
    t.equal(manifest.records, segments[index + 1]!.first - first)
    const rows = Object.values(manifest.tables).reduce((sum, table) => sum + table.rows, 0)
    const marks = records.filter(({ type, place: { sequence } }) => {
      return type === 'mark' && sequence !== null && sequence >= first && sequence < first + manifest.records
    })
    t.equal(rows, manifest.records - marks.length)
    t.ok(await isIntact(dataDir, manifest))
  }
  for (const name of names()) t.equal(statSync(join(indexOf(dataDir), name)).mode & 0o777, 0o600)
})

t.test('what is damaged, missing or of another version is made again, byte for byte the same', async (t) => {
  const { dataDir, names } = closedLog()
  await toTheEnd(new IndexSegments(dataDir, systemClock))
  const at = (name: string) => join(indexOf(dataDir), name)
  const before = new Map(names().map((name) => [name, readFileSync(at(name))]))
  const firsts = listSegments(dataDir).map(({ first }) => String(first).padStart(12, '0'))
  const flipped = readFileSync(at(`${firsts[0]}.decisions.parquet`))
  flipped[100]! ^= 1
  writeFileSync(at(`${firsts[0]}.decisions.parquet`), flipped)
  writeFileSync(at(`${firsts[1]}.json`), '{"version": 0}')
  rmSync(at(`${firsts[2]}.decisions.parquet`))
  const keeper = new IndexSegments(dataDir, systemClock)
  await toTheEnd(keeper)
  t.equal(keeper.rebuilt, 3)
  t.strictSame(new Map(names().map((name) => [name, readFileSync(at(name))])), before)
  rmSync(indexOf(dataDir), { recursive: true })
  await toTheEnd(keeper)
  t.strictSame(new Map(names().map((name) => [name, readFileSync(at(name))])), before)
})

t.test('without its manifest a segment counts as not indexed, whatever else is there', async (t) => {
  const { dataDir, names } = closedLog()
  await toTheEnd(new IndexSegments(dataDir, systemClock))
  const [manifest] = names().filter((name) => name.endsWith('.json'))
  rmSync(join(indexOf(dataDir), manifest!))
  const source = await openSource(dataDir)
  t.equal(source.indexed.length, listSegments(dataDir).length - 2)
  t.equal(source.files.decisions.length, listSegments(dataDir).length)
  const made = source.files.decisions.filter((path) => !path.startsWith(dataDir))
  t.equal(made.length, 2, 'made for this question alone')
  source.close()
  t.notOk(made.some((path) => existsSync(path)))
})

t.test('the index of pruned segments and drafts of the dead are removed, other files are not', async (t) => {
  const { dataDir, names } = closedLog()
  await toTheEnd(new IndexSegments(dataDir, systemClock))
  const [pruned, kept] = listSegments(dataDir)
  rmSync(pruned!.path)
  const name = String(kept!.first).padStart(12, '0')
  const draft = join(indexOf(dataDir), `${name}.events.parquet.4711.draft`)
  const fresh = join(indexOf(dataDir), `${name}.events.parquet.4712.draft`)
  for (const path of [draft, fresh, join(indexOf(dataDir), 'README')]) writeFileSync(path, 'x')
  utimesSync(draft, 1, 1)
  await toTheEnd(new IndexSegments(dataDir, systemClock))
  t.notOk(existsSync(draft))
  t.ok(existsSync(fresh), 'somebody may be writing it')
  t.ok(names().includes('README'))
  t.strictSame(
    names().filter((found) => found.startsWith(String(pruned!.first).padStart(12, '0'))),
    [],
  )
})

t.test(
  'records of an epoch that was put aside are in the tables, too, and all its segments get an index',
  async (t) => {
    const { dataDir } = closedLog()
    const count = async () => {
      const analysis = await openAnalysis(dataDir)
      const [row] = await analysis.rows('SELECT count(*) AS n FROM decisions')
      analysis.close()
      return row!.n
    }
    const before = await count()
    const aside = join(dataDir, 'epochs', '1')
    mkdirSync(aside, { recursive: true })
    renameSync(join(dataDir, 'segments'), join(aside, 'segments'))
    t.equal(await count(), before)
    const keeper = new IndexSegments(aside, systemClock, { isOver: true })
    await toTheEnd(keeper)
    t.equal(keeper.indexed, listSegments(dataDir, 1).length)
    t.equal(await count(), before)
  },
)

t.test('the segment that is being written is indexed in parts, as far as the checkpoint goes', async (t) => {
  const log = openSmallLog({ segmentBytesMax: 40_000 })
  const { dataDir } = log
  const partRecords = 20
  let covered = 0
  const newKeeper = () => new IndexSegments(dataDir, systemClock, { covered: () => covered, partRecords })
  const keeper = newKeeper()
  const parts = () =>
    readdirSync(indexOf(dataDir))
      .filter((name) => name.includes('.from'))
      .sort()
  const manifests = () => parts().filter((name) => name.endsWith('.json'))
  const written = (rounds: number) => {
    for (let round = 0; round < rounds; round += 1) {
      turn(log.lanes[0]!, AT)
      log.writer.round()
    }
  }
  /** Everything, and how much of it had to be read. */
  const asked = async () => {
    const analysis = await openAnalysis(dataDir)
    const tables = ['decisions', 'shadows', 'streams', 'events'].map(
      (name) => `SELECT * FROM ${name} ORDER BY seq`,
    )
    const rows: unknown[] = []
    for (const sql of tables) rows.push(await analysis.rows(sql))
    const { recordsRead } = analysis
    analysis.close()
    return { rows, recordsRead }
  }
  written(5)
  const { first } = listSegments(dataDir)[0]!
  t.equal(listSegments(dataDir).length, 1, 'one segment, which is being written')
  const all = await asked()
  const last = first + all.recordsRead
  await toTheEnd(keeper)
  t.notOk(existsSync(indexOf(dataDir)), 'nothing is covered')
  covered = first + 45
  await toTheEnd(keeper)
  t.strictSame(
    manifests(),
    [first, first + 20].map((from) => `${String(first).padStart(12, '0')}.from${from}.json`),
  )
  const after = await asked()
  t.strictSame(after.rows, all.rows)
  t.equal(after.recordsRead, all.recordsRead - 40)
  const again = newKeeper()
  covered = first + 60
  await toTheEnd(again)
  t.equal(manifests().length, 3, 'another process goes on behind them')
  t.ok(last >= first + 60)
  const second = join(indexOf(dataDir), parts().find((name) => name.includes(`from${first + 20}.decisions`))!)
  const flipped = readFileSync(second)
  flipped[100]! ^= 1
  writeFileSync(second, flipped)
  rmSync(join(indexOf(dataDir), manifests()[2]!))
  await toTheEnd(newKeeper())
  t.equal(manifests().length, 3)
  t.notSame(readFileSync(second), flipped, 'what is damaged is made again, and what is missing')
  t.strictSame((await asked()).rows, all.rows)
  written(10)
  t.ok(listSegments(dataDir).length > 1)
  const whole = await asked()
  await toTheEnd(again)
  t.strictSame(
    parts().filter((name) => name.startsWith(String(first).padStart(12, '0'))),
    [],
    'it is indexed as a whole now',
  )
  t.ok(readManifest(dataDir, { first }))
  t.strictSame((await asked()).rows, whole.rows)
  log.lanes[0]!.close()
  log.writer.finish()
})

/** A log of which the keeper indexed the first segment part after part, and which has grown beyond it. */
async function followed() {
  const log = openSmallLog({ segmentBytesMax: 40_000 })
  const { dataDir } = log
  const keeper = new IndexSegments(dataDir, systemClock, { covered: () => covered, partRecords: 20 })
  const grow = () => {
    turn(log.lanes[0]!, AT)
    log.writer.round()
  }
  let covered = 0
  for (let round = 0; round < 5; round += 1) {
    grow()
    covered += 10
    await toTheEnd(keeper)
  }
  const [segment] = listSegments(dataDir)
  const rowsOf = async () => {
    const analysis = await openAnalysis(dataDir)
    const names = ['decisions', 'shadows', 'streams', 'events']
    const rows: unknown[] = []
    for (const name of names) rows.push(await analysis.rows(`SELECT * FROM ${name} ORDER BY seq`))
    const few = await analysis.rows(
      'SELECT seq, model FROM decisions WHERE seq BETWEEN 15 AND 45 ORDER BY seq',
    )
    analysis.close()
    return { rows, few }
  }
  const cover = (to: number) => {
    covered = to
  }
  return { log, dataDir, keeper, grow, segment: segment!, rowsOf, cover }
}

t.test(
  'a full segment’s index is put together of its parts, and says what one made at once says',
  async (t) => {
    const { log, dataDir, keeper, grow, segment, rowsOf } = await followed()
    for (let round = 0; round < 10; round += 1) grow()
    t.ok(listSegments(dataDir).length > 1)
    const all = await rowsOf()
    await toTheEnd(keeper)
    const { first } = segment
    const file = () => readFileSync(tablePath(dataDir, { first }, 'decisions'))
    const joined = file()
    const manifest = readManifest(dataDir, { first })!
    t.equal(manifest.records, listSegments(dataDir)[1]!.first - first)
    t.strictSame(await rowsOf(), all)
    dropIndex(dataDir, { first })
    await toTheEnd(new IndexSegments(dataDir, systemClock))
    t.notSame(file(), joined, 'made at once it has fewer row groups')
    const atOnce = readManifest(dataDir, { first })!
    t.strictSame(
      { records: atOnce.records, lanes: atOnce.lanes, rows: atOnce.tables.decisions!.rows },
      { records: manifest.records, lanes: manifest.lanes, rows: manifest.tables.decisions!.rows },
    )
    t.strictSame(await rowsOf(), all)
    log.lanes[0]!.close()
    log.writer.finish()
  },
)

t.test('what was begun for a part that failed is not counted again', async (t) => {
  const { log, dataDir, keeper, grow, segment, rowsOf, cover } = await followed()
  const { first } = segment
  cover(60)
  t.equal(listSegments(dataDir).length, 1)
  // A folder where the next part's file would be drafted.
  const draft = `${tablePath(dataDir, { first, part: { from: 40 } }, 'decisions')}.${process.pid}.draft`
  mkdirSync(draft)
  await t.rejects(toTheEnd(keeper), { code: 'EISDIR' })
  rmSync(draft, { recursive: true })
  for (let round = 0; round < 10; round += 1) grow()
  const all = await rowsOf()
  await toTheEnd(keeper)
  t.equal(readManifest(dataDir, { first })!.records, listSegments(dataDir)[1]!.first - first)
  t.strictSame(await rowsOf(), all)
  log.lanes[0]!.close()
  log.writer.finish()
})

t.test('a segment that was sealed before its index was made is read again as a whole', async (t) => {
  const { log, dataDir, keeper, grow, segment, rowsOf } = await followed()
  for (let round = 0; round < 10; round += 1) grow()
  const all = await rowsOf()
  const seal = new SealSegments({
    dataDir,
    disk: systemDisk,
    covered: () => Number.POSITIVE_INFINITY,
    onKept: t.fail,
  })
  while (seal.step());
  t.ok(listSegments(dataDir)[0]!.isSealed)
  await toTheEnd(keeper)
  t.equal(
    readManifest(dataDir, { first: segment.first })!.records,
    listSegments(dataDir)[1]!.first - segment.first,
  )
  t.strictSame(await rowsOf(), all)
  log.lanes[0]!.close()
  log.writer.finish()
})

t.test('a damaged part of the index costs reading, never an answer', async (t) => {
  const log = openSmallLog({ segmentBytesMax: 100_000 })
  for (let round = 0; round < 5; round += 1) {
    turn(log.lanes[0]!, AT)
    log.writer.round()
  }
  const { dataDir } = log
  await toTheEnd(new IndexSegments(dataDir, systemClock, { covered: () => 60, partRecords: 20 }))
  const part = readdirSync(indexOf(dataDir)).find((name) => name.includes('from20.decisions'))!
  const bytes = readFileSync(join(indexOf(dataDir), part))
  bytes.fill(0, 4, bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8))
  writeFileSync(join(indexOf(dataDir), part), bytes)
  const analysis = await openAnalysis(dataDir)
  const [{ n }] = (await analysis.rows('SELECT count(caller) AS n FROM decisions')) as [{ n: number }]
  t.equal(n, 5 * TURN.decisions)
  t.notOk(existsSync(join(indexOf(dataDir), part)), 'it is forgotten')
  analysis.close()
  log.lanes[0]!.close()
  log.writer.finish()
})
