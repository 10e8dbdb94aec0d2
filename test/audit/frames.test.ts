/** The forms on disk: frames, file headers, payloads. Whole ones come back exactly; anything less never does. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { systemDisk } from '../../src/audit/disk.ts'
import { decodeFileHeader, encodeFileHeader, NO_TREE } from '../../src/audit/file-header.ts'
import { FRAME_HEAD_BYTES, type Frame, frameAt, PAYLOAD_BYTES_MAX, sealFrame } from '../../src/audit/frame.ts'
import { FrameReader } from '../../src/audit/frame-reader.ts'
import { framesOfSegment } from '../../src/audit/read.ts'
import { DETAIL_LENGTH_MAX, NAME_LENGTH_MAX } from '../../src/audit/records/attempt-row.ts'
import {
  ATTEMPTS_MAX,
  CANDIDATES_MAX,
  type DecisionRecord,
  decodeDecision,
  SHADOWS_MAX,
  writeDecision,
} from '../../src/audit/records/decision-record.ts'
import { unpack } from '../../src/audit/records/msgpack.ts'
import { ENVELOPE_BYTES_MAX, readOrigin, writeOrigin } from '../../src/audit/records/payload.ts'
import { RowWriter } from '../../src/audit/records/row-writer.ts'
import { decodeShadow, type ShadowRecord, writeShadow } from '../../src/audit/records/shadow-record.ts'
import { decodeStream, type StreamRecord, writeStream } from '../../src/audit/records/stream-record.ts'
import { FINISH_REASON_LENGTH_MAX } from '../../src/domain/outcome.ts'
import { newFolder } from './new-folder.ts'
import { sampleDecision, sampleOpened, sampleStream } from './samples.ts'

const folder = newFolder()

const row = new RowWriter(Buffer.alloc(200_000))

function decisionBytes(record: DecisionRecord): Buffer {
  row.begin(0)
  writeDecision(row, record)
  return row.bytes.subarray(0, row.at)
}

function shadowBytes(record: ShadowRecord): Buffer {
  row.begin(0)
  writeShadow(row, record)
  return row.bytes.subarray(0, row.at)
}

function streamBytes(record: StreamRecord): Buffer {
  row.begin(0)
  writeStream(row, record)
  return row.bytes.subarray(0, row.at)
}

interface Written {
  readonly sequence: number
  readonly type: number
  readonly flags: number
  readonly payload: Uint8Array
}

function frameBytes({ sequence, type, flags, payload }: Written): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD_BYTES + payload.length)
  bytes.set(payload, FRAME_HEAD_BYTES)
  sealFrame(bytes, 0, { sequence, type, flags }, payload.length)
  return bytes
}

const anyFrame = fc.record({
  sequence: fc.maxSafeNat(),
  type: fc.integer({ min: 1, max: 255 }),
  flags: fc.integer({ min: 0, max: 255 }),
  payload: fc.uint8Array({ maxLength: 300 }),
})

t.test('a frame comes back as it was written', async (t) => {
  fc.assert(
    fc.property(anyFrame, fc.nat(50), (written, before) => {
      const bytes = Buffer.concat([Buffer.alloc(before, 7), frameBytes(written), Buffer.alloc(9, 1)])
      const frame = frameAt(bytes, before, bytes.length) as Frame
      return (
        frame.sequence === written.sequence &&
        frame.type === written.type &&
        frame.flags === written.flags &&
        frame.payload.equals(written.payload)
      )
    }),
  )
  t.pass('no counterexample')
})

t.test('a frame cut at any byte is no frame', async (t) => {
  fc.assert(
    fc.property(anyFrame, (written) => {
      const bytes = frameBytes(written)
      for (let end = 0; end < bytes.length; end += 1) if (frameAt(bytes, 0, end) !== 'short') return false
      return true
    }),
    { numRuns: 50 },
  )
  t.pass('no counterexample')
})

t.test('any flipped bit is found', async (t) => {
  const bytes = frameBytes({ sequence: 77, type: 1, flags: 3, payload: Buffer.from('a decision') })
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const copy = Buffer.from(bytes)
    copy[bit >> 3]! ^= 1 << (bit & 7)
    if (typeof frameAt(copy, 0, copy.length) !== 'string') t.fail(`bit ${bit} went unnoticed`)
  }
  t.pass(`${bytes.length * 8} bits`)
})

t.test('zeros are no frame, so a hole in a file is none', async (t) => {
  t.equal(frameAt(Buffer.alloc(100), 0, 100), 'bad')
})

function readAll(bytes: Buffer, small = true) {
  const path = join(folder, 'frames')
  writeFileSync(path, bytes)
  const fd = systemDisk.openForReading(path)
  const reader = new FrameReader(systemDisk, fd, { at: 0, last: 0, ...(small ? { room: 1 } : {}) })
  const sequences: number[] = []
  for (let frame = reader.next(bytes.length); frame !== undefined; frame = reader.next(bytes.length)) {
    sequences.push(frame.sequence)
  }
  systemDisk.close(fd)
  return { sequences, damages: reader.damages }
}

t.test('a reader finds what follows a damaged stretch and measures it exactly', async (t) => {
  const counting = fc.array(fc.uint8Array({ maxLength: 400 }), { minLength: 3, maxLength: 40 })
  fc.assert(
    fc.property(counting, fc.nat(), fc.nat(), (payloads, which, where) => {
      const frames = payloads.map((payload, index) =>
        frameBytes({ sequence: index + 1, type: 1, flags: 0, payload }),
      )
      const broken = which % frames.length
      const frame = frames[broken]!
      frame[where % frame.length]! ^= 0x5a
      const { sequences, damages } = readAll(Buffer.concat(frames))
      const at = frames.slice(0, broken).reduce((sum, { length }) => sum + length, 0)
      const expected = payloads.map((_, index) => index + 1).filter((sequence) => sequence !== broken + 1)
      const place = broken === frames.length - 1 ? 'tail' : 'middle'
      return (
        sequences.join() === expected.join() &&
        damages.length === 1 &&
        damages[0]!.at === at &&
        damages[0]!.bytes === frame.length &&
        damages[0]!.where === place
      )
    }),
    { numRuns: 200 },
  )
  t.pass('no counterexample')
})

t.test('a file cut at any byte gives every frame before the cut and the rest as its torn tail', async (t) => {
  const frames = [20, 0, 65_000, 300].map((length, index) =>
    frameBytes({ sequence: index + 1, type: 2, flags: 0, payload: Buffer.alloc(length, 9) }),
  )
  const whole = Buffer.concat(frames)
  const ends = frames.map((_, index) =>
    frames.slice(0, index + 1).reduce((sum, { length }) => sum + length, 0),
  )
  const cuts = [...Array(120).keys(), ...ends.flatMap((end) => [end - 1, end, end + 1]), whole.length]
  for (const cut of cuts.filter((cut) => cut <= whole.length)) {
    const { sequences, damages } = readAll(whole.subarray(0, cut))
    const expected = ends.filter((end) => end <= cut).length
    const torn = cut - (ends[expected - 1] ?? 0)
    t.equal(sequences.length, expected, `cut at ${cut}`)
    t.strictSame(
      damages.map(({ bytes, where }) => ({ bytes, where })),
      torn === 0 ? [] : [{ bytes: torn, where: 'tail' }],
    )
  }
})

t.test('readers beside a running gateway see the same frames, damage or not', async (t) => {
  const frames = Array.from({ length: 50 }, (_, index) =>
    frameBytes({ sequence: index + 1, type: 1, flags: 0, payload: Buffer.alloc(50_000, index) }),
  )
  frames[20]!.fill(0xee, 0, 40)
  const place = { lane: 0, start: 1, number: 0, first: 1 }
  const header = encodeFileHeader({ kind: 'segment', ...place, createdAt: 1, keyId: '', ...NO_TREE })
  const path = join(folder, 'segment')
  writeFileSync(path, Buffer.concat([header, ...frames, Buffer.alloc(30, 3)]))
  const seen: number[] = []
  const name = { path, name: 'segment', file: 'segment', first: 1, isSealed: false }
  for await (const { frame } of framesOfSegment(name)) seen.push(frame.sequence)
  t.strictSame(
    seen,
    frames.map((_, index) => index + 1).filter((sequence) => sequence !== 21),
  )
})

t.test('a file header comes back as written, and no other file passes for one', async (t) => {
  const header = {
    kind: 'journal',
    lane: 3,
    start: 1_795_000_000_123,
    number: 12,
    first: 9_007_199_254_740_991,
    createdAt: 1_795_000_000_456,
    keyId: '0011223344556677',
    originHash: Buffer.alloc(32, 7),
    rootBefore: Buffer.alloc(32, 9),
  } as const
  const bytes = encodeFileHeader(header)
  t.strictSame(decodeFileHeader(bytes, 'journal'), header)
  t.type(decodeFileHeader(bytes, 'segment'), 'string')
  t.type(decodeFileHeader(bytes.subarray(0, 127), 'journal'), 'string')
  for (let at = 0; at < bytes.length; at += 1) {
    const copy = Buffer.from(bytes)
    copy[at]! ^= 1
    t.type(decodeFileHeader(copy, 'journal'), 'string', `byte ${at}`)
  }
})

t.test('a decision record comes back as it was', async (t) => {
  const record = sampleDecision()
  t.strictSame(decodeDecision(unpack(decisionBytes(record)) as unknown[]), record)
  const refused = sampleDecision({
    traceId: '',
    model: '',
    protocol: '',
    operation: '',
    keySource: '',
    plan: null,
    attempts: [],
    served: '',
    reason: '',
    status: 404,
    fault: { code: 'unknown-path', message: 'no dialect answers here', detail: '' },
    answer: null,
  })
  t.strictSame(decodeDecision(unpack(decisionBytes(refused)) as unknown[]), refused)
  const told = sampleDecision({ finishReason: 'length', usage: { prompt: 3, completion: -1, total: 5e9 } })
  t.strictSame(decodeDecision(unpack(decisionBytes(told)) as unknown[]), told)
  const opened = sampleOpened()
  t.strictSame(decodeDecision(unpack(decisionBytes(opened)) as unknown[]), opened)
})

t.test('a row from before its last places were added is read as having nothing there', async (t) => {
  const record = sampleDecision({ finishReason: 'stop', usage: { prompt: 1, completion: 2, total: 3 } })
  const places = unpack(decisionBytes(record)) as unknown[]
  t.strictSame(decodeDecision(places.slice(0, 27)), { ...record, finishReason: '', usage: null })
})

t.test('a word of a later version is kept as it is', async (t) => {
  const record = sampleDecision({ operation: 'embed' as 'infer' })
  t.equal(decodeDecision(unpack(decisionBytes(record)) as unknown[]).operation, 'embed')
})

t.test('the largest decision record fits its frame', async (t) => {
  const long = (length: number) => '漢'.repeat(length)
  const sample = sampleDecision()
  const attempt = {
    ...sample.attempts[0]!,
    version: long(500),
    endpoint: long(500),
    faultDetail: long(500),
    faultCode: 'x'.repeat(40),
    sieve: { eligible: 255, endpoints: 256, isHealthIgnored: true },
    hedge: { first: long(500), second: long(500), afterMs: 0.1, won: 'none' as const },
  }
  const record = sampleDecision({
    client: { address: long(999), userAgent: long(9999) },
    request: { method: long(99), path: long(9999), contentType: long(9999), bodyBytes: 1e9 },
    model: long(999),
    pin: long(999),
    keySource: long(999),
    served: long(999),
    degraded: long(999),
    fault: { code: 'malformed-answer', message: long(9999), detail: long(9999) },
    answer: { bodyBytes: 1e9, contentType: long(9999) },
    finishReason: long(9999),
    usage: { prompt: 0.1, completion: 0.1, total: 0.1 },
    attempts: Array.from({ length: 99 }, () => attempt),
    plan: {
      ...sample.plan!,
      version: long(999),
      experiment: long(999),
      assigned: long(999),
      candidates: Array.from({ length: 99 }, () => ({
        version: long(999),
        passed: 'not-routed',
        breaker: 'open',
      })),
      shadows: Array.from({ length: 99 }, () => ({ version: long(999), fate: 'planned' })),
    },
  })
  const payload = decisionBytes(record)
  t.ok(payload.length + ENVELOPE_BYTES_MAX <= PAYLOAD_BYTES_MAX, `${payload.length} bytes`)
  const back = decodeDecision(unpack(payload) as unknown[])
  t.equal(back.attempts.length, ATTEMPTS_MAX)
  t.equal(back.plan!.candidates.length, CANDIDATES_MAX)
  t.equal(back.plan!.shadows.length, SHADOWS_MAX)
  t.equal(back.model.length, NAME_LENGTH_MAX)
  t.equal(back.attempts[0]!.faultDetail.length, DETAIL_LENGTH_MAX)
})

t.test('a string is never cut inside a character', async (t) => {
  const record = sampleDecision({ model: `${'x'.repeat(NAME_LENGTH_MAX - 1)}😀` })
  t.equal(decodeDecision(unpack(decisionBytes(record)) as unknown[]).model, 'x'.repeat(NAME_LENGTH_MAX - 1))
})

t.test('a shadow record comes back as it was', async (t) => {
  const { id, attempts } = sampleDecision()
  const attempt = { ...attempts[0]!, role: 'shadow', afterMs: -1 } as const
  const shadow = { id, receivedAt: 1_795_000_000_000, model: 'fraud', version: 'v3', attempt } as const
  const answered = { ...shadow, fate: 'answered', agreement: 'differ', differences: [0.25, null] } as const
  t.strictSame(decodeShadow(unpack(shadowBytes(answered)) as unknown[]), answered)
  const capped = {
    ...shadow,
    fate: 'cap',
    agreement: 'not-compared',
    differences: [],
    attempt: null,
  } as const
  t.strictSame(decodeShadow(unpack(shadowBytes(capped)) as unknown[]), capped)
})

t.test('a stream record comes back as it was, and the largest fits its frame', async (t) => {
  const opened = sampleOpened()
  const complete = sampleStream(opened)
  t.strictSame(decodeStream(unpack(streamBytes(complete)) as unknown[]), complete)
  const fault = { code: 'truncated-answer', message: 'closed', detail: 'ECONNRESET' }
  const broken = sampleStream(opened, { fate: 'broken', fault, summary: null, bodyBytes: 6e9 })
  t.strictSame(decodeStream(unpack(streamBytes(broken)) as unknown[]), broken)
  const long = '漢'.repeat(9999)
  const largest = sampleStream(opened, {
    model: long,
    fault: { code: long, message: long, detail: long },
    attempt: { ...complete.attempt, version: long, endpoint: long, faultCode: long, faultDetail: long },
    summary: {
      finishReason: long,
      usage: { prompt: 0.1, completion: 0.1, total: 0.1 },
      events: 0.1,
      problem: long,
    },
  })
  const payload = streamBytes(largest)
  t.ok(payload.length + ENVELOPE_BYTES_MAX <= PAYLOAD_BYTES_MAX, `${payload.length} bytes`)
  const back = decodeStream(unpack(payload) as unknown[])
  t.equal(back.summary!.finishReason.length, FINISH_REASON_LENGTH_MAX)
  t.equal(back.summary!.problem.length, DETAIL_LENGTH_MAX)
})

t.test('an origin comes back, and what has none says so', async (t) => {
  const origin = { lane: 0xfffe, start: 1_795_000_000_123, sequence: 123_456_789_012 }
  const bytes = Buffer.alloc(ENVELOPE_BYTES_MAX)
  writeOrigin(bytes, 0, origin)
  t.strictSame(readOrigin(bytes), origin)
  t.equal(readOrigin(Buffer.from('something else, long enough')), undefined)
})

t.test('whatever a row is made of, any msgpack reader gets it back', async (t) => {
  const number = fc.oneof(
    fc.integer(),
    fc.double({ noNaN: true }),
    fc.maxSafeInteger(),
    fc.integer({ min: -40, max: 70_000 }),
  )
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 400 }),
    fc.string({ unit: 'grapheme-ascii', maxLength: 300 }),
  )
  const value = fc.oneof(number, text, fc.boolean(), fc.constant(null), fc.uint8Array({ maxLength: 200 }))
  fc.assert(
    fc.property(fc.array(value, { maxLength: 300 }), (values) => {
      row.begin(7)
      row.array(values.length)
      for (const item of values) {
        if (item === null) row.nil()
        else if (typeof item === 'number') row.number(item)
        else if (typeof item === 'string') row.text(item, 1000)
        else if (typeof item === 'boolean') row.boolean(item)
        else row.hex(Buffer.from(item).toString('hex'))
      }
      const back = unpack(row.bytes.subarray(7, row.at)) as unknown[]
      return back.length === values.length && values.every((item, index) => isSame(item, back[index]))
    }),
    { numRuns: 500 },
  )
  t.pass('no counterexample')
})

function isSame(item: unknown, back: unknown): boolean {
  if (item instanceof Uint8Array) return back instanceof Uint8Array && Buffer.from(item).equals(back)
  return item === back
}

t.test('what is no hexadecimal text becomes no bytes, and what is no request id is a bug', async (t) => {
  row.begin(0)
  row.hex('0g')
  t.strictSame(unpack(row.bytes.subarray(0, row.at)), Buffer.alloc(0))
  t.throws(() => row.id('nonsense'), /not a request id/)
})
