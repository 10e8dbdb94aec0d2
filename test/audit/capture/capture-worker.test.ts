/** From a lane's hands to a sealed record: what is kept, what is not and why, and what trouble leads to. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { CAPTURE_COUNTS_BYTES, CaptureCounts } from '../../../src/audit/capture/capture-counts.ts'
import { captureRing } from '../../../src/audit/capture/capture-entry.ts'
import { CAPTURE_FREE_BYTES_MIN, CaptureWorker } from '../../../src/audit/capture/capture-worker.ts'
import { type Captured, Capturer } from '../../../src/audit/capture/capturer.ts'
import { openBodies } from '../../../src/audit/capture/open-bodies.ts'
import { BLANK } from '../../../src/audit/capture/redact.ts'
import { SubjectKeys } from '../../../src/audit/capture/subject-keys.ts'
import { Digester } from '../../../src/audit/digests.ts'
import { PAYLOAD_BYTES_MAX } from '../../../src/audit/frame.ts'
import {
  CAPTURE_FATES,
  type CaptureRecord,
  decodeCapture,
} from '../../../src/audit/records/capture-record.ts'
import { pack, unpack } from '../../../src/audit/records/msgpack.ts'
import type { CaptureSettings } from '../../../src/domain/routes.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { FaultyDisk } from '../faulty-disk.ts'
import { newFolder } from '../new-folder.ts'

const SETTINGS: CaptureSettings = { share: 1, redact: ['/ssn'], subject: [], bytesMax: 1024 * 1024 }
const idOf = (number: number) => `019aaf00-0000-7000-8000-${String(number).padStart(12, '0')}`

function asked(number: number, request: string | Uint8Array, more: Partial<Captured> = {}): Captured {
  return {
    id: idOf(number),
    at: Date.UTC(2026, 10, 2, 12),
    model: 'm',
    subject: 'alice',
    request: { bytes: Buffer.from(request), json: -1 },
    answer: null,
    ...more,
  }
}

function openBench(ringBytes = 64 * 1024) {
  const dataDir = newFolder()
  const [ring, counts] = [captureRing(ringBytes), new SharedArrayBuffer(CAPTURE_COUNTS_BYTES)]
  const records: CaptureRecord[] = []
  const state = { isAble: true }
  const disk = new FaultyDisk()
  const clock = new ManualClock()
  const worker = new CaptureWorker({
    rings: [ring],
    dataDir,
    disk,
    clock,
    keys: new SubjectKeys(dataDir, disk),
    digester: new Digester(randomBytes(32)),
    counts: new CaptureCounts(counts),
    journal: {
      available: () => state.isAble,
      packed(_type, value) {
        const payload = Buffer.from(pack(value))
        t.ok(payload.length < PAYLOAD_BYTES_MAX - 128, 'fits in a frame with what is put around it')
        records.push(decodeCapture(unpack(payload) as unknown[]))
      },
      close() {},
    },
  })
  const fates = () => {
    const seen = new CaptureCounts(counts)
    return Object.fromEntries(
      CAPTURE_FATES.flatMap((fate) => (seen.of(fate) === 0 ? [] : [[fate, seen.of(fate)]])),
    )
  }
  const bodiesOf = (number: number) =>
    openBodies(
      dataDir,
      records.filter(({ id }) => id === idOf(number)),
    )
  return {
    capturer: new Capturer({ ring, counts }),
    worker,
    records,
    state,
    disk,
    clock,
    dataDir,
    fates,
    bodiesOf,
  }
}

t.test('bodies are redacted, sealed and read back; what is not asked for never shows', async (t) => {
  const bench = openBench()
  const answer = { bytes: Buffer.from('{"score":0.5}'), json: -1 }
  bench.capturer.offer(asked(1, '{"ssn":"078-05-1120","n":1.0}', { answer }), SETTINGS)
  t.equal(bench.worker.round(), false)
  t.notOk(JSON.stringify(bench.records).includes('078-05'))
  t.match(bench.bodiesOf(1), [
    { side: 'request', state: 'shown', redacted: ['/ssn'], bytes: 29 },
    { side: 'answer', state: 'shown', redacted: [] },
  ])
  const [request, answered] = bench.bodiesOf(1)
  t.equal(request!.body!.toString(), `{"ssn":${BLANK},"n":1.0}`)
  t.equal(answered!.body!.toString(), '{"score":0.5}')
  t.strictSame(bench.fates(), { kept: 2 })
})

t.test('what cannot be redacted, is too large or was streamed is told, not kept', async (t) => {
  const bench = openBench()
  bench.capturer.offer(asked(1, 'ssn=078', { answer: 'streamed' }), SETTINGS)
  bench.capturer.offer(asked(2, `{"a":"${'x'.repeat(2000)}"}`), { ...SETTINGS, bytesMax: 1024 })
  bench.capturer.offer(asked(3, 'any bytes', {}), { ...SETTINGS, redact: [] })
  bench.capturer.offer(asked(4, ''), SETTINGS)
  bench.worker.round()
  t.match(bench.bodiesOf(1), [
    { state: 'not-kept', fate: 'not-json', bytes: 7 },
    { side: 'answer', state: 'not-kept', fate: 'streamed' },
  ])
  t.match(bench.bodiesOf(2), [{ state: 'not-kept', fate: 'too-large', bytes: 2008 }])
  t.equal(bench.bodiesOf(3)[0]!.body!.toString(), 'any bytes')
  t.strictSame(bench.bodiesOf(4), [], 'there was no body')
  t.strictSame(bench.fates(), { kept: 1, 'not-json': 1, 'too-large': 1, streamed: 1 })
})

t.test('of binary tensors only the JSON before them is kept where paths are redacted', async (t) => {
  const bench = openBench()
  const bytes = Buffer.concat([Buffer.from('{"ssn":1}'), Buffer.from('BINARY')])
  bench.capturer.offer(asked(1, '', { request: { bytes, json: 9 } }), SETTINGS)
  bench.capturer.offer(asked(2, '', { request: { bytes, json: 9 } }), { ...SETTINGS, redact: [] })
  bench.worker.round()
  t.match(bench.bodiesOf(1), [{ binaryBytes: 6, body: Buffer.from(`{"ssn":${BLANK}}`) }])
  t.match(bench.bodiesOf(2), [{ binaryBytes: 0, body: bytes }])
})

t.test('a long body lies in several records, and one that lacks a part is damaged', async (t) => {
  const bench = openBench(1024 * 1024)
  const noise = randomBytes(150_000)
  bench.capturer.offer(asked(1, noise), { ...SETTINGS, redact: [] })
  bench.worker.round()
  t.equal(bench.records.length, 3)
  t.same(bench.bodiesOf(1)[0]!.body, noise)
  const own = openBodies(bench.dataDir, bench.records.slice(1))
  t.match(own, [{ state: 'damaged', body: null }])
})

t.test('after its key is destroyed a body is erased; another subject’s is not', async (t) => {
  const bench = openBench()
  bench.capturer.offer(asked(1, '{}'), SETTINGS)
  bench.capturer.offer(asked(2, '{}', { subject: 'bob' }), SETTINGS)
  bench.capturer.offer(asked(3, '{}', { subject: '' }), SETTINGS)
  bench.worker.round()
  const subjects = bench.records.map(({ subject }) => subject)
  t.equal(new Set(subjects).size, 3)
  new SubjectKeys(bench.dataDir, bench.disk).destroy(subjects[0]!)
  bench.worker.forget(subjects[0]!)
  bench.capturer.offer(asked(4, '{}'), SETTINGS)
  bench.worker.round()
  t.strictSame(
    [1, 2, 3, 4].map((number) => bench.bodiesOf(number)[0]!.state),
    ['erased', 'shown', 'shown', 'shown'],
  )
})

t.test('what finds no room is counted, and a record tells how many', async (t) => {
  const bench = openBench(4096)
  for (let number = 0; number < 20; number += 1)
    bench.capturer.offer(asked(number, `{"a":"${'x'.repeat(300)}"}`), SETTINGS)
  bench.capturer.drop()
  while (bench.worker.round());
  bench.capturer.drop()
  bench.clock.advance(1000)
  bench.worker.round()
  bench.worker.finish()
  const kept = bench.records.filter(({ fate }) => fate === 'kept').length
  const told = bench.records.filter(({ fate, id }) => fate === 'no-room' && id === '')
  t.ok(kept > 0 && kept < 20)
  t.strictSame([told.length, told.reduce((sum, { requests }) => sum + requests, 0)], [2, 22 - kept])
})

t.test('a full disk and a journal that takes nothing cost captures, never more', async (t) => {
  const bench = openBench()
  bench.state.isAble = false
  bench.capturer.offer(asked(1, '{}'), SETTINGS)
  bench.worker.round()
  t.strictSame([bench.records.length, bench.fates()], [0, { 'no-room': 1 }])
  bench.state.isAble = true
  bench.disk.room = CAPTURE_FREE_BYTES_MIN - 1
  bench.clock.advance(1000)
  bench.capturer.offer(asked(2, '{}'), SETTINGS)
  bench.worker.round()
  t.strictSame(bench.fates(), { 'no-room': 2 })
  bench.disk.room = Number.POSITIVE_INFINITY
  bench.clock.advance(1000)
  bench.disk.isOutOfDescriptors = true
  bench.capturer.offer(asked(3, '{}'), SETTINGS)
  bench.worker.round()
  t.match(bench.fates(), { failed: 1 })
  bench.disk.isOutOfDescriptors = false
  bench.capturer.offer(asked(4, '{}'), SETTINGS)
  bench.worker.finish()
  t.match(bench.bodiesOf(4), [{ state: 'shown' }])
})

t.test('the share is of ids, the same each time', async (t) => {
  const { capturer } = openBench()
  const ids = Array.from({ length: 20_000 }, (_, number) => idOf(number))
  const chosen = ids.filter((id) => capturer.isChosen(id, 0.05))
  t.ok(chosen.length > 800 && chosen.length < 1200, String(chosen.length))
  t.ok(chosen.every((id) => capturer.isChosen(id, 0.05) && capturer.isChosen(id, 0.5)))
  t.ok(capturer.isChosen(idOf(1), 1))
})
