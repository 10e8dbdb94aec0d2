/** What is damaged in a sealed segment is told, and what is not can be read without it. */
import { readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { systemDisk } from '../../../src/audit/disk.ts'
import { FILE_HEADER_BYTES } from '../../../src/audit/file-header.ts'
import { SealSegments } from '../../../src/audit/keeper/seal-segments.ts'
import { listSegments } from '../../../src/audit/paths.ts'
import { BLOCK_HEAD_BYTES, BlockPacker, openBlock } from '../../../src/audit/sealed/block.ts'
import { TRAILER_BYTES } from '../../../src/audit/sealed/block-index.ts'
import { ColumnJoiner, OVERRUN_BYTES } from '../../../src/audit/sealed/column-joiner.ts'
import { ColumnSplitter } from '../../../src/audit/sealed/column-splitter.ts'
import { addToFilter, filterBytes, firstOf, mayHold, stepOf } from '../../../src/audit/sealed/id-filter.ts'
import { SealedFile } from '../../../src/audit/sealed/sealed-file.ts'
import { crc32c } from '../../../src/kernel/crc32c.ts'
import { newFolder } from '../new-folder.ts'
import { sampleDecision } from '../samples.ts'
import { type Entry, entryOf, readAll, writeSegment } from '../segment-files.ts'

const decisions = (count: number): Entry[] =>
  Array.from({ length: count }, (_, index) =>
    entryOf({ decision: sampleDecision({ receivedAt: 1_795_000_000_000 + index }) }),
  )

/** A sealed segment of three blocks, the first two of bulky records; the open one behind it is gone. */
function sealed(): { dataDir: string; path: string; bytes: Buffer } {
  const dataDir = newFolder()
  const bulky = Array.from({ length: 9 }, (_, index) => ({
    type: 23,
    payload: Buffer.alloc(60_000, `text ${index} `),
  }))
  writeSegment(dataDir, 0, [...bulky, ...decisions(40)])
  writeSegment(dataDir, 49, decisions(1))
  const job = new SealSegments({ dataDir, disk: systemDisk, covered: () => Infinity })
  while (job.step());
  systemDisk.remove(listSegments(dataDir)[1]!.path)
  const { path } = listSegments(dataDir)[0]!
  return { dataDir, path, bytes: readFileSync(path) }
}

t.test('no byte can be changed, and the file cannot be cut or made longer, without being told', (t) => {
  const { dataDir, path, bytes } = sealed()
  const whole = readAll(dataDir, systemDisk)
  t.equal(whole.problems.length, 0)
  t.equal(whole.sequences.length, 49)
  const isSound = () => readAll(dataDir, systemDisk).problems.length === 0
  const step = Math.ceil(bytes.length / 400)
  for (let at = 0; at < bytes.length; at += at < 160 || at > bytes.length - TRAILER_BYTES ? 1 : step) {
    const copy = Buffer.from(bytes)
    copy[at]! ^= 1 << (at & 7)
    writeFileSync(path, copy)
    if (isSound()) t.fail(`byte ${at} of ${bytes.length}`)
  }
  for (const length of [
    0,
    10,
    FILE_HEADER_BYTES,
    bytes.length / 2,
    bytes.length - TRAILER_BYTES,
    bytes.length - 1,
  ]) {
    writeFileSync(path, bytes.subarray(0, length))
    if (isSound()) t.fail(`cut at ${length}`)
  }
  writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(1)]))
  t.notOk(isSound(), 'a byte more')
  writeFileSync(path, bytes)
  t.ok(isSound())
  t.end()
})

t.test('a damaged block costs its own records, a damaged index none', (t) => {
  const { dataDir, path, bytes } = sealed()
  const file = new SealedFile(systemDisk, path)
  const { index, trailer } = file
  file.close()
  if (typeof index === 'string' || typeof trailer === 'string') throw new Error('it is whole')
  t.equal(index.length, 3)
  const spoil = (at: number, ...more: number[]) => {
    const copy = Buffer.from(bytes)
    for (const place of [at, ...more]) copy[place]! ^= 0xff
    writeFileSync(path, copy)
    return readAll(dataDir, systemDisk)
  }
  const spoiled = spoil(index[1]!.at + BLOCK_HEAD_BYTES + 5)
  t.equal(spoiled.sequences.length, 49 - index[1]!.records)
  t.match(spoiled.problems, [/000000000000\.sgz, byte \d+: the block’s checksum is wrong/])
  const blind = spoil(trailer.indexAt + 3)
  t.equal(blind.sequences.length, 49)
  t.match(blind.problems, [`000000000000.sgz, byte ${trailer.indexAt}: the index’s checksum is wrong`])
  const both = spoil(trailer.indexAt + 3, index[1]!.at + BLOCK_HEAD_BYTES + 5)
  t.equal(both.sequences.length, 49 - index[1]!.records)
  t.equal(both.problems.length, 2)
  t.equal(spoil(bytes.length - 1).sequences.length, 49, 'the trailer')
  t.end()
})

t.test('an index with a good checksum that is not that of the records is told', (t) => {
  const { dataDir, path, bytes } = sealed()
  const tampered = Buffer.from(bytes)
  const file = new SealedFile(systemDisk, path)
  const { trailer } = file
  file.close()
  if (typeof trailer === 'string') throw new Error('it is whole')
  // Of the filter behind the three entries some ids are taken out: these requests could not be found any more.
  const filterAt = trailer.indexAt + 3 * 48
  const set = tampered.subarray(filterAt).findIndex((byte) => byte !== 0)
  tampered[filterAt + set] = 0
  const trailerAt = bytes.length - TRAILER_BYTES
  tampered.writeUInt32LE(crc32c(tampered, trailer.indexAt, trailerAt), trailerAt + 60)
  tampered.writeUInt32LE(crc32c(tampered, trailerAt, bytes.length - 4), bytes.length - 4)
  writeFileSync(path, tampered)
  t.match(readAll(dataDir, systemDisk).problems, [/the index is not that of these records/])
  t.end()
})

t.test('columns that were made up do no harm: they give records or an error', (t) => {
  const splitter = new ColumnSplitter(64 * 1024)
  const entries = [...decisions(20), { type: 9, payload: Buffer.from('not one value') }]
  for (const { type, payload } of entries) splitter.add(type, payload)
  const bytes = splitter.take()
  const payloads = Buffer.concat(entries.map(({ payload }) => payload))
  const roomBytes = payloads.length + 40 * OVERRUN_BYTES
  const target = Buffer.alloc(roomBytes + 8)
  const join = (columns: Buffer, records: number) => {
    const joiner = new ColumnJoiner(columns, records, payloads.length)
    const places = new Uint32Array(records)
    for (let index = 1; index < records; index += 1)
      places[index] = places[index - 1]! + joiner.lengths[index - 1]! + OVERRUN_BYTES
    joiner.fill(target, places)
    return [...places].map((end, index) => target.subarray(end - joiner.lengths[index]!, end))
  }
  t.ok(Buffer.concat(join(bytes, 21)).equals(payloads))
  let errors = 0
  fc.assert(
    fc.property(
      fc.nat({ max: bytes.length - 1 }),
      fc.nat({ max: 255 }),
      fc.nat({ max: 40 }),
      (at, byte, records) => {
        const copy = Buffer.from(bytes)
        copy[at] = byte
        target.fill(0xee, roomBytes)
        try {
          join(at % 3 === 0 ? copy.subarray(0, at) : copy, records)
        } catch (error) {
          errors += 1
          if (!(error instanceof Error) || error instanceof TypeError) throw error
        }
        return target.subarray(roomBytes).every((left) => left === 0xee)
      },
    ),
    { numRuns: 2000 },
  )
  t.ok(errors > 500, `${errors} errors`)
  t.end()
})

t.test('a block says how long it is, and nothing is unpacked past that', (t) => {
  const packer = new BlockPacker()
  for (const { type, payload } of decisions(10)) packer.add({ type, payload, bytes: 18 + payload.length })
  const block = packer.take(5)
  t.match(openBlock(block), { first: 5, records: 10 })
  const rewritten = (at: number, value: number) => {
    const copy = Buffer.from(block)
    copy.writeUInt32LE(value, at)
    copy.writeUInt32LE(crc32c(copy, 4), 0)
    return openBlock(copy)
  }
  t.match(rewritten(8, 100), /the block does not unpack/, 'fewer bytes of columns')
  t.match(rewritten(8, 900_000), /fewer bytes than it says/)
  t.match(rewritten(12, block.readUInt32LE(12) - 1), /longer than the block says/)
  t.match(rewritten(12, block.readUInt32LE(12) + 1), /shorter than the block says/)
  t.match(rewritten(16, 9), /does not unpack/, 'fewer records')
  t.match(rewritten(16, 11), /does not unpack/, 'more records')
  t.match(rewritten(16, 0), 'no block begins here')
  t.end()
})

t.test('a filter holds what was added, and little else', (t) => {
  const ids = Array.from({ length: 2000 }, (_, index) => {
    const id = Buffer.alloc(16, 7)
    id.writeUInt32BE(index, 6)
    return new DataView(id.buffer, id.byteOffset, id.length)
  })
  const filter = Buffer.alloc(filterBytes(1000))
  for (const id of ids.slice(0, 1000)) addToFilter(filter, firstOf(id, 0), stepOf(id, 0))
  t.ok(ids.slice(0, 1000).every((id) => mayHold(filter, id, 0)))
  const wrong = ids.slice(1000).filter((id) => mayHold(filter, id, 0)).length
  t.ok(wrong < 25, `${wrong} of 1000`)
  t.notOk(mayHold(Buffer.alloc(0), ids[0]!, 0), 'an empty one holds nothing')
  t.equal(filterBytes(0), 0)
  t.end()
})
