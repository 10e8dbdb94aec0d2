/**
 * Histograms across threads: what a lane counts is what the control thread reads, merges, encodes and
 * what a reader that knows nothing of our library decodes.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { inflateSync } from 'node:zlib'
import fc from 'fast-check'
import { build, decodeFromCompressedBase64, Float64Histogram } from 'hdr-histogram-js'
import t from 'tap'
import { Hdr } from '../../src/observe/hdr.ts'
import {
  COUNTS_LENGTH,
  countDuration,
  countsIndexOf,
  DIGITS,
  newCountsBuffer,
  VALUE_MAX_US,
  VALUE_MIN_US,
} from '../../src/observe/hdr-layout.ts'
import { Histograms } from '../../src/observe/histograms.ts'

const reference = () => new Float64Histogram(VALUE_MIN_US, VALUE_MAX_US, DIGITS)

t.test('every duration is counted where hdr-histogram-js would count it', async (t) => {
  const histogram = reference()
  t.equal(histogram.countsArrayLength, COUNTS_LENGTH)
  const near = Array.from({ length: 30 }, (_, power) => [2 ** power - 1, 2 ** power, 2 ** power + 1]).flat()
  const wrong = [...near, VALUE_MAX_US].filter(
    (us) => us <= VALUE_MAX_US && countsIndexOf(us) !== histogram.countsArrayIndex(us),
  )
  t.same(wrong, [])
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: VALUE_MAX_US }),
        (us) => countsIndexOf(us) === histogram.countsArrayIndex(us),
      ),
      { numRuns: 5000 },
    ),
  )
})

t.test('durations outside the range are counted at its ends', async (t) => {
  const buffer = newCountsBuffer()
  const counts = new Float64Array(buffer)
  for (const ms of [0, 0.0001, 1e9, Number.POSITIVE_INFINITY]) countDuration(counts, ms)
  const read = new Hdr([buffer])
  t.equal(read.count, 4)
  t.equal(read.percentileUs(0), 1)
  t.ok(read.maxUs >= VALUE_MAX_US && read.maxUs < VALUE_MAX_US * 1.001)
})

t.test('a merged reading has the percentiles of all values together', async (t) => {
  const lanes = [newCountsBuffer(), newCountsBuffer()]
  const all = reference()
  for (let value = 1; value <= 20_000; value += 1) {
    const us = value * value
    const capped = Math.min(us, VALUE_MAX_US)
    countDuration(new Float64Array(lanes[value % 2]!), us / 1000)
    all.recordValue(capped)
  }
  const read = new Hdr(lanes)
  t.equal(read.count, 20_000)
  for (const percent of [0, 50, 90, 99, 99.9, 100]) {
    t.equal(read.percentileUs(percent), all.getValueAtPercentile(percent), `p${percent}`)
  }
  t.ok(Math.abs(read.sumUs / read.count / all.mean - 1) < 1e-3, 'the mean')
  const empty = new Hdr([])
  t.same([empty.count, empty.maxUs, empty.sumUs, empty.percentileUs(99)], [0, 0, 0, 0])
})

t.test('classic buckets are cumulative and end at the count', async (t) => {
  const buffer = newCountsBuffer()
  const counts = new Float64Array(buffer)
  for (const ms of [0.5, 1, 1, 2, 30, 700]) countDuration(counts, ms)
  t.same(new Hdr([buffer]).cumulative([500, 1000, 10_000, 1_000_000]), [1, 3, 4, 6])
})

t.test('another thread records while this one reads, and nothing is lost', async (t) => {
  const module = new URL('../../src/observe/hdr-layout.js', import.meta.url).href
  const code = `
    import { parentPort, workerData } from 'node:worker_threads'
    import { countDuration } from ${JSON.stringify(module)}
    const counts = new Float64Array(workerData)
    parentPort.postMessage('begun')
    for (let index = 0; index < 2_000_000; index += 1) countDuration(counts, (index % 1000) / 10)`
  const buffers = [newCountsBuffer(), newCountsBuffer()]
  const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`)
  const lanes = buffers.map((buffer) => new Worker(url, { workerData: buffer }))
  const ends = lanes.map((lane) => once(lane, 'exit'))
  await Promise.all(lanes.map((lane) => once(lane, 'message')))
  let last = 0
  for (let reads = 0; reads < 20; reads += 1) {
    const read = new Hdr(buffers)
    t.ok(read.count >= last, 'counts only grow')
    t.ok(read.cumulative([VALUE_MAX_US * 2])[0] === read.count, 'a reading agrees with itself')
    last = read.count
  }
  await Promise.all(ends)
  const read = new Hdr(buffers)
  t.equal(read.count, 4_000_000)
  t.ok(Math.abs(read.percentileUs(50) / 50_000 - 1) < 2e-3)
})

t.test('a V2 encoding decodes by hand, header and counts, and by the library', async (t) => {
  const buffer = newCountsBuffer()
  const counts = new Float64Array(buffer)
  const values = [1, 1, 2, 700, 2047, 2048, 5000, 5003, 1_000_000, VALUE_MAX_US]
  for (const us of values) countDuration(counts, us / 1000)
  const encoded = new Hdr([buffer]).encode()
  const { header, countAt } = decodeV2(Buffer.from(encoded, 'base64'))
  t.same(header, { normalizingOffset: 0, digits: DIGITS, lowest: 1, highest: VALUE_MAX_US, ratio: 1 })
  const expected = new Map<number, number>()
  for (const us of values) expected.set(countsIndexOf(us), (expected.get(countsIndexOf(us)) ?? 0) + 1)
  t.same(
    [...countAt],
    [...expected].sort(([a], [b]) => a - b),
  )

  const merged = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: VALUE_MAX_US,
    numberOfSignificantValueDigits: 3,
  })
  merged.add(decodeFromCompressedBase64(encoded) as never)
  merged.add(decodeFromCompressedBase64(encoded) as never)
  t.equal(merged.totalCount, values.length * 2)
  t.equal(merged.getValueAtPercentile(50), new Hdr([buffer, buffer]).percentileUs(50))
})

t.test('histograms are made when needed, announced once, and bounded', async (t) => {
  const announced: number[] = []
  let refused = 0
  const histograms = new Histograms({
    series: 10,
    limit: 2,
    onHistogram: ({ series }) => announced.push(series),
    onRefused: () => {
      refused += 1
    },
  })
  for (const series of [4, 4, 7, 4, 1, 1]) histograms.record(series, 3)
  histograms.record(9, -1)
  histograms.record(9, Number.NaN)
  t.same([announced, refused], [[4, 7], 2])
})

/** HdrHistogram V2 from its published layout, without the library that wrote it. */
function decodeV2(bytes: Buffer) {
  t.equal(bytes.readUInt32BE(0), 0x1c849314, 'the compressed cookie')
  t.equal(bytes.readInt32BE(4), bytes.length - 8, 'the compressed length')
  const plain = inflateSync(bytes.subarray(8))
  t.equal(plain.readUInt32BE(0), 0x1c849313, 'the cookie')
  t.equal(plain.readInt32BE(4), plain.length - 40, 'the payload’s length')
  const header = {
    normalizingOffset: plain.readInt32BE(8),
    digits: plain.readInt32BE(12),
    lowest: Number(plain.readBigInt64BE(16)),
    highest: Number(plain.readBigInt64BE(24)),
    ratio: plain.readDoubleBE(32),
  }
  const countAt = new Map<number, number>()
  let index = 0
  for (let at = 40; at < plain.length; ) {
    let raw = 0n
    let shift = 0n
    for (let more = true; more; shift += 7n) {
      const byte = plain[at]!
      at += 1
      more = byte >= 0x80
      raw |= BigInt(byte & 0x7f) << shift
    }
    const value = Number((raw >> 1n) ^ -(raw & 1n))
    if (value < 0) index -= value
    else {
      if (value > 0) countAt.set(index, value)
      index += 1
    }
  }
  return { header, countAt }
}
