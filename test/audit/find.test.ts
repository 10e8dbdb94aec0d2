/** What the log says of one request, put together from wherever its records lie. */

import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemDisk } from '../../src/audit/disk.ts'
import { findDecision } from '../../src/audit/find.ts'
import { findInFile } from '../../src/audit/find-in-file.ts'
import { SealSegments } from '../../src/audit/keeper/seal-segments.ts'
import { KnownIds } from '../../src/audit/known-ids.ts'
import { listSegments, segmentPath, segmentsOf } from '../../src/audit/paths.ts'
import { sequencedIdAt } from '../../src/audit/records/request-id-place.ts'
import { idBytes } from '../../src/audit/records/row.ts'
import { allRecords, type BenchLog, openBenchLog } from './bench-log.ts'
import { newFolder } from './new-folder.ts'
import { sampleDecision, sampleInputs, sampleOpened, sampleStream } from './samples.ts'
import { type Entry, entryOf, writeSegment } from './segment-files.ts'

const HOUR_MS = 3_600_000

/** So many other requests, an hour later: each fills about one segment. */
function anHourOfOthers(log: BenchLog, count: number): void {
  for (let index = 0; index < count; index += 1) {
    log.clock.advance(HOUR_MS / count)
    log.lanes[0]!.decision(sampleDecision({ receivedAt: log.clock.wall() }), sampleInputs, () => {})
    log.lanes[0]!.flush()
    log.writer.round()
  }
}

t.test('the end of a stream is found however much later it came, and its absence is told', async (t) => {
  const log = openBenchLog({ segmentBytesMax: 600 })
  const lane = log.lanes[0]!
  const [ended, cut] = [1, 2].map(() => sampleOpened({ receivedAt: log.clock.wall() })) as [
    ReturnType<typeof sampleOpened>,
    ReturnType<typeof sampleOpened>,
  ]
  for (const opened of [ended, cut]) lane.decision(opened, { ...sampleInputs, answer: 'streamed' }, () => {})
  anHourOfOthers(log, 8)
  const waiting = await findDecision(log.dataDir, ended.id)
  t.match(waiting, { decision: { decision: { id: ended.id } }, stream: null })
  lane.stream(sampleStream(ended))
  lane.flush()
  const unsequenced = await findDecision(log.dataDir, ended.id)
  t.match(
    unsequenced,
    { stream: { stream: sampleStream(ended), place: { sequence: null } } },
    'in the journal',
  )
  anHourOfOthers(log, 3)
  lane.close()
  log.writer.finish()
  t.ok(listSegments(log.dataDir).length > 8, 'many segments lie between')
  const told = await findDecision(log.dataDir, ended.id)
  t.match(told, {
    decision: { digests: { answer: 'streamed' } },
    stream: { stream: sampleStream(ended) },
    shadows: [],
  })
  t.match(await findDecision(log.dataDir, cut.id), { decision: { decision: { id: cut.id } }, stream: null })
})

t.test('an end whose decision is in no log any more is told all the same', async (t) => {
  const log = openBenchLog()
  const gone = sampleOpened()
  log.lanes[0]!.stream(sampleStream(gone))
  log.lanes[0]!.close()
  log.writer.finish()
  t.match(await findDecision(log.dataDir, gone.id), { decision: null, stream: { stream: { id: gone.id } } })
})

function seal(dataDir: string): void {
  const job = new SealSegments({ dataDir, disk: systemDisk, covered: () => Infinity })
  while (job.step());
}

const START = 1_795_000_000_000
const shadowOf = (id: string, version: string) =>
  ({
    id,
    receivedAt: START,
    model: 'fraud',
    version,
    fate: 'cap',
    agreement: 'not-compared',
    differences: [],
    attempt: null,
  }) as const

/** So many segments of so many other requests each, whose clock runs backwards now and then. */
function others(segments: number, records: number): Entry[][] {
  return Array.from({ length: segments }, (_, segment) =>
    Array.from({ length: records }, (_, index) => {
      const receivedAt = START + (segment % 3) * 1000 + index
      return entryOf({ decision: sampleDecision({ receivedAt }) })
    }),
  )
}

t.test(
  'of all that was sealed, one request is found whole: its shadows, and a stream that ended much later',
  async (t) => {
    const dataDir = newFolder()
    const opened = sampleOpened({ receivedAt: START + 500 })
    const { id } = opened
    const segments = others(6, 900)
    segments[0]!.splice(10, 0, entryOf({ decision: opened }))
    segments[1]!.splice(890, 0, entryOf({ shadow: shadowOf(id, 'v3') }))
    segments[4]!.splice(450, 0, entryOf({ stream: sampleStream(opened) }))
    segments[5]!.splice(450, 0, entryOf({ shadow: shadowOf(id, 'v4') }))
    let first = 0
    for (const entries of segments) {
      writeSegment(dataDir, first, entries)
      first += entries.length
    }
    const absent = sampleDecision({ receivedAt: START + 500 }).id
    const before = await findDecision(dataDir, id)
    t.match(before, { decision: { place: { file: 'segments/000000000000.seg', sequence: 10 } } })
    const records = (await allRecords(dataDir)).length
    seal(dataDir)
    t.strictSame(
      listSegments(dataDir).map(({ isSealed }) => isSealed),
      [true, true, true, true, true, false],
    )
    t.equal((await allRecords(dataDir)).length, records, 'all are read')
    for (const _ of ['from the disk', 'with indexes in memory']) {
      const story = await findDecision(dataDir, id)
      t.match(story, {
        decision: { decision: { id }, place: { file: 'segments/000000000000.sgz', sequence: 10 } },
        stream: { stream: sampleStream(opened), place: { file: /^segments\/0+3602\.sgz$/ } },
      })
      t.strictSame(
        story?.shadows.map(({ shadow, place }) => [shadow.version, place.file.endsWith('.sgz')]),
        [
          ['v3', true],
          ['v4', false],
        ],
      )
      t.equal(await findDecision(dataDir, absent), null)
    }
    for (const entries of segments.slice(0, 5))
      t.ok(await findDecision(dataDir, idIn(entries[700]!)), 'any other, whatever the clock said')
  },
)

/** That of a decision without digests: behind envelope, row head and version. */
function idIn({ payload }: Entry): string {
  const hex = payload.toString('hex', 29, 45)
  return [
    [0, 8],
    [8, 12],
    [12, 16],
    [16, 20],
    [20, 32],
  ]
    .map(([from, to]) => hex.slice(from, to))
    .join('-')
}

t.test('damage hides nothing that is whole', async (t) => {
  const dataDir = newFolder()
  const entries = others(1, 900)[0]!
  writeSegment(dataDir, 0, entries)
  writeSegment(dataDir, 900, others(1, 1)[0]!)
  const plain = listSegments(dataDir)[0]!.path
  const intact = readFileSync(plain)
  const ids = [2, 400, 899].map((place) => idIn(entries[place]!))
  const found = async () => Promise.all(ids.map(async (id) => (await findDecision(dataDir, id)) !== null))
  for (const [at, bytes] of [
    [5000, Buffer.alloc(20, 0xee)],
    // The length of the first frame behind the header.
    [128, Buffer.of(1)],
    [0, Buffer.alloc(128)],
  ] as const) {
    const damaged = Buffer.from(intact)
    bytes.copy(damaged, at)
    writeFileSync(plain, damaged)
    t.strictSame(await found(), [true, true, true], `unsealed, damaged at ${at}`)
  }
  writeFileSync(plain, intact)
  seal(dataDir)
  const { path, isSealed } = listSegments(dataDir)[0]!
  t.ok(isSealed)
  const sealed = readFileSync(path)
  // Another place, as indexes are kept in memory by their path.
  for (const [name, spoil] of [
    ['the index', (bytes: Buffer) => bytes.fill(0, bytes.length - 200, bytes.length - 100)],
    ['the trailer', (bytes: Buffer) => bytes.fill(0, bytes.length - 60)],
    ['the end', (bytes: Buffer) => bytes.subarray(0, bytes.length - 90)],
  ] as const) {
    const copy = newFolder()
    cpSync(dataDir, copy, { recursive: true })
    writeFileSync(path.replace(dataDir, copy), spoil(Buffer.from(sealed)))
    const told = await Promise.all(ids.map(async (id) => (await findDecision(copy, id)) !== null))
    t.strictSame(told, [true, true, true], `without ${name}`)
  }
})

t.test('epochs that were put aside are read first and searched, too', async (t) => {
  const dataDir = newFolder()
  const [old, present] = others(2, 30) as [Entry[], Entry[]]
  writeSegment(dataDir, 0, old.slice(0, 20))
  writeSegment(dataDir, 20, old.slice(20))
  seal(dataDir)
  cpSync(segmentsOf(dataDir), join(dataDir, 'epochs', '1', 'segments'), { recursive: true })
  rmSync(segmentsOf(dataDir), { recursive: true })
  writeSegment(dataDir, 0, present)
  const places = (await allRecords(dataDir)).map(({ place }) => `${place.file} ${place.sequence}`)
  t.equal(places.length, 60)
  t.equal(places[0], 'epochs/1/segments/000000000000.sgz 0')
  t.equal(places[25], 'epochs/1/segments/000000000020.seg 25')
  t.equal(places[30], 'segments/000000000000.seg 0')
  for (const entry of [old[3]!, old[25]!, present[3]!]) t.ok(await findDecision(dataDir, idIn(entry)))
})

t.test(
  'an unsealed segment is walked once, then what came since; never what may still be written over',
  async (t) => {
    const disk = {
      ...systemDisk,
      bytes: 0,
      read(fd: number, bytes: Uint8Array, length: number, position: number) {
        const read = systemDisk.read(fd, bytes, length, position)
        this.bytes += read
        return read
      },
    }
    const decisions = Array.from({ length: 2000 }, () => sampleDecision())
    const dataDir = newFolder()
    const whole = writeSegment(
      dataDir,
      0,
      decisions.map((decision) => entryOf({ decision })),
    )
    const file = segmentPath(dataDir, 0)
    const fd = systemDisk.openForReading(file)
    t.teardown(() => systemDisk.close(fd))
    const known = new KnownIds(0)
    const search = async (id: string) => {
      const found: number[] = []
      disk.bytes = 0
      const searched = { fd, first: 0, idAt: sequencedIdAt, known }
      await findInFile(searched, idBytes(id), ({ sequence }) => found.push(sequence), disk)
      return { found, read: disk.bytes }
    }
    const size = systemDisk.size(fd)
    const ids = decisions.map(({ id }) => id)
    t.strictSame((await search(ids[5]!)).found, [5])
    t.ok((await search(ids[5]!)).read > size * 0.9, 'nothing is covered: all is walked again')
    known.covered = 1500
    t.strictSame((await search(ids[1499]!)).found, [1499])
    for (const at of [0, 7, 1499, 1500, 1999]) {
      const { found, read } = await search(ids[at]!)
      t.strictSame(found, [at])
      t.ok(read < size / 2, `record ${at}: a quarter is walked`)
    }
    known.covered = 2000
    await search(ids[0]!)
    t.strictSame(await search(sampleDecision().id), { found: [], read: 0 }, 'all is known')
    const altered = Buffer.from(whole)
    altered[altered.indexOf(idBytes(ids[7]!)) + 200]! ^= 1
    writeFileSync(file, altered)
    t.strictSame((await search(ids[7]!)).found, [], 'a record that was altered since is none')
    t.strictSame((await search(ids[8]!)).found, [8])
  },
)
