/** Closed segments become sealed ones that give back every byte, whatever the disk or the process does meanwhile. */
import { copyFileSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { systemDisk } from '../../../src/audit/disk.ts'
import { SealSegments, type SealSegmentsParts } from '../../../src/audit/keeper/seal-segments.ts'
import { listSegments, segmentPath, segmentsOf } from '../../../src/audit/paths.ts'
import { DirectoryUnsynced } from '../../../src/audit/sealed/seal-segment.ts'
import { failingDisk } from '../failing-disk.ts'
import { newFolder } from '../new-folder.ts'
import { sampleDecision } from '../samples.ts'
import { type Entry, entryOf, readAll, writeSegment } from '../segment-files.ts'

const varied = (index: number) => ({
  receivedAt: 1_795_000_000_000 + index,
  durationMs: 1 + (index % 97) / 7,
  client: { address: `10.0.${index % 7}.${index % 251}`, userAgent: 'curl/8.5.0' },
})

const decisions = (count: number): Entry[] =>
  Array.from({ length: count }, (_, index) => entryOf({ decision: sampleDecision(varied(index)) }))

/** Few records that fill blocks. */
const bulky = (count: number): Entry[] =>
  Array.from({ length: count }, (_, index) => ({ type: 23, payload: Buffer.alloc(60_000, `text ${index} `) }))

/** A closed segment of two blocks, a small one, and an open one. */
function log(): { dataDir: string; originals: Map<string, Buffer> } {
  const dataDir = newFolder()
  const originals = new Map<string, Buffer>()
  for (const [first, entries] of [
    [0, bulky(6)],
    [6, decisions(20)],
    [26, decisions(1)],
  ] as const)
    originals.set(segmentPath(dataDir, first), writeSegment(dataDir, first, entries))
  return { dataDir, originals }
}

function sealer(dataDir: string, more: Partial<SealSegmentsParts> = {}): SealSegments {
  return new SealSegments({ dataDir, disk: systemDisk, covered: () => Infinity, ...more })
}

function sealAll(dataDir: string): void {
  const job = sealer(dataDir)
  while (job.step());
}

const names = (dataDir: string) => readdirSync(segmentsOf(dataDir)).sort()
const UNSEALED = ['000000000000.seg', '000000000006.seg', '000000000026.seg']
const SEALED = ['000000000000.sgz', '000000000006.sgz', '000000000026.seg']

t.test('all but the newest are sealed, and every record is as it was', (t) => {
  const dataDir = newFolder()
  for (const first of [0, 900, 1800]) writeSegment(dataDir, first, decisions(900))
  const before = readAll(dataDir, systemDisk)
  const job = sealer(dataDir)
  t.ok(job.step(), 'the first')
  t.strictSame(names(dataDir), ['000000000000.sgz', '000000000900.seg', '000000001800.seg'])
  t.ok(job.step(), 'the second')
  t.notOk(job.step(), 'no further one')
  t.strictSame(names(dataDir), ['000000000000.sgz', '000000000900.sgz', '000000001800.seg'])
  t.strictSame(readAll(dataDir, systemDisk), before)
  t.equal(before.sequences.length, 2700)
  const bytes = readFileSync(listSegments(dataDir)[0]!.path).length
  t.ok(bytes / 900 < 60, `${bytes / 900} bytes a record without digests`)
  t.end()
})

t.test('whatever frames hold, they come back byte for byte', (t) => {
  const value = fc.anything({ maxDepth: 2, withNullPrototype: false })
  const payload = fc.oneof(
    { weight: 3, arbitrary: fc.nat({ max: 40 }).map((index) => decisions(1 + index)[index]!.payload) },
    value.map((given) => Buffer.from(JSON.stringify(given) ?? '')),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(0, 1, 65_000).map((length) => Buffer.alloc(length, 0x93)),
  )
  const entry = fc.record({ type: fc.constantFrom(1, 1, 1, 2, 9, 10, 23, 255), payload })
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 60 }), fc.nat({ max: 12 }), (entries, times) => {
      const dataDir = newFolder()
      const repeated = Array.from({ length: 1 + times }, () => entries).flat()
      writeSegment(dataDir, 7, repeated)
      writeSegment(dataDir, 7 + repeated.length, decisions(1))
      const before = readAll(dataDir, systemDisk)
      sealAll(dataDir)
      const after = readAll(dataDir, systemDisk)
      const isSealed = listSegments(dataDir)[0]!.isSealed
      return isSealed && after.entries.equals(before.entries) && after.problems.length === 0
    }),
    { numRuns: 40 },
  )
  t.pass('no counterexample')
  t.end()
})

/** What came in between, by name and in words; undefined: nothing. */
function stepUntilEnd(job: SealSegments): Error | undefined {
  try {
    while (job.step());
    return undefined
  } catch (error) {
    return error as Error
  }
}

t.test('dying at any call loses nothing, and the next run finishes it', (t) => {
  const { dataDir, originals } = log()
  const before = readAll(dataDir, systemDisk)
  let deaths = 0
  for (let call = 1; ; call += 1) {
    for (const [path, bytes] of originals)
      if (!existsSync(path.replace('.seg', '.sgz'))) writeFileSync(path, bytes)
    const died = stepUntilEnd(sealer(dataDir, { disk: failingDisk(call, 'dies') }))
    const after = readAll(dataDir, systemDisk)
    if (!after.entries.equals(before.entries)) t.fail(`records are lost by dying at call ${call}`)
    if (after.problems.length > 0) t.fail(`call ${call}: ${after.problems}`)
    if (died === undefined) break
    deaths += 1
  }
  t.ok(deaths > 30, `${deaths} deaths`)
  t.strictSame(names(dataDir), SEALED)
  t.end()
})

for (const how of ['EIO', 'ENOSPC', 'short']) {
  t.test(`${how} at any call loses nothing`, (t) => {
    const { dataDir, originals } = log()
    const before = readAll(dataDir, systemDisk)
    const restore = () => {
      for (const name of names(dataDir))
        if (!name.endsWith('.seg')) systemDisk.remove(join(segmentsOf(dataDir), name))
      for (const [path, bytes] of originals) writeFileSync(path, bytes)
    }
    let failures = 0
    for (let call = 1; ; call += 1) {
      const disk = failingDisk(call, how)
      const job = sealer(dataDir, { disk })
      const failed = stepUntilEnd(job)
      const during = readAll(dataDir, systemDisk)
      if (!during.entries.equals(before.entries) || during.problems.length > 0)
        t.fail(`call ${call}: ${during.problems}`)
      if (disk.calls < call) break
      t.equal(stepUntilEnd(job), undefined, `call ${call} again`)
      const isLeft = names(dataDir).some((name) => name === UNSEALED[0] || name === UNSEALED[1])
      t.equal(isLeft, failed instanceof DirectoryUnsynced, `call ${call}: all are sealed in the end`)
      failures += 1
      restore()
    }
    t.ok(failures > 30, `${failures} calls failed`)
    t.end()
  })
}

t.test('a damaged segment stays, is told once, and the others are sealed', (t) => {
  const { dataDir } = log()
  const path = segmentPath(dataDir, 0)
  const bytes = readFileSync(path)
  bytes[5000]! ^= 1
  writeFileSync(path, bytes)
  const problems: string[] = []
  const job = sealer(dataDir, { onKept: (words) => problems.push(words) })
  while (job.step());
  while (job.step());
  t.strictSame(names(dataDir), ['000000000000.seg', '000000000006.sgz', '000000000026.seg'])
  t.ok(readFileSync(path).equals(bytes), 'it is what it was')
  t.equal(problems.length, 1)
  t.match(
    problems[0],
    /segments\/000000000000\.seg stays unsealed: what stands at byte \d+ is not the record \d+/,
  )
  t.end()
})

t.test('records that could not be made again are not sealed away', (t) => {
  for (const spoil of [
    (dataDir: string) => writeSegment(dataDir, 0, [...decisions(20), { ...decisions(1)[0]!, flags: 1 }]),
    (dataDir: string) =>
      truncateSync(segmentPath(dataDir, 0), readFileSync(segmentPath(dataDir, 0)).length - 1),
    (dataDir: string) => truncateSync(segmentPath(dataDir, 0), 64),
    (dataDir: string) => truncateSync(segmentPath(dataDir, 0), 0),
    (dataDir: string) => copyFileSync(segmentPath(dataDir, 6), segmentPath(dataDir, 0)),
  ]) {
    const { dataDir } = log()
    spoil(dataDir)
    sealAll(dataDir)
    t.ok(names(dataDir).includes('000000000000.seg'))
    t.notOk(names(dataDir).includes('000000000000.sgz'))
  }
  t.end()
})

t.test('of a segment that is there twice the original counts, and a bad copy is made again', (t) => {
  const { dataDir, originals } = log()
  sealAll(dataDir)
  const path = segmentPath(dataDir, 0)
  writeFileSync(path, originals.get(path)!)
  t.notOk(listSegments(dataDir)[0]!.isSealed)
  const copy = path.replace('.seg', '.sgz')
  const sealed = readFileSync(copy)
  sealAll(dataDir)
  t.ok(readFileSync(copy).equals(sealed), 'a good copy stays')
  t.strictSame(names(dataDir), SEALED)
  writeFileSync(path, originals.get(path)!)
  writeFileSync(copy, sealed.subarray(0, sealed.length - 100))
  sealAll(dataDir)
  t.ok(readFileSync(copy).equals(sealed), 'a bad one is made again')
  t.strictSame(names(dataDir), SEALED)
  t.end()
})

t.test('without room nothing is begun; drafts of a run that died are removed', (t) => {
  const { dataDir } = log()
  writeFileSync(`${segmentPath(dataDir, 0).replace('.seg', '.sgz')}.draft`, 'half')
  let free = 100_000
  const disk = { ...systemDisk, freeBytes: () => free }
  const job = sealer(dataDir, { disk })
  t.notOk(job.step())
  t.strictSame(names(dataDir), UNSEALED)
  free = Infinity
  while (job.step());
  t.strictSame(names(dataDir), SEALED)
  t.end()
})

t.test('what no checkpoint covers stays', (t) => {
  const { dataDir } = log()
  let covered = 5
  const job = sealer(dataDir, { covered: () => covered })
  t.notOk(job.step())
  covered = 25
  t.ok(job.step())
  t.notOk(job.step())
  t.strictSame(names(dataDir), ['000000000000.sgz', '000000000006.seg', '000000000026.seg'])
  t.end()
})
