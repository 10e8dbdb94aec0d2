/** Tables take their values from rows as they lie in the log; they are those of the records that people are shown. */
import fc from 'fast-check'
import t from 'tap'
import { decodeUnsequenced, type LogRecord } from '../../../src/audit/decode.ts'
import { FRAME_HEAD_BYTES, type Frame, frameAt, sealFrame } from '../../../src/audit/frame.ts'
import { DECISION_COLUMNS } from '../../../src/audit/index/decision-columns.ts'
import { SHADOW_COLUMNS, STREAM_COLUMNS } from '../../../src/audit/index/other-columns.ts'
import { type RowRecord, type RowTable, unsequencedRow } from '../../../src/audit/index/row-values.ts'
import { writeDecision } from '../../../src/audit/records/decision-record.ts'
import { RECORD_TYPES } from '../../../src/audit/records/record-type.ts'
import { RowReader } from '../../../src/audit/records/row-reader.ts'
import { RowWriter } from '../../../src/audit/records/row-writer.ts'
import { writeShadow } from '../../../src/audit/records/shadow-record.ts'
import { writeStream } from '../../../src/audit/records/stream-record.ts'
import { sampleDecision, sampleStream } from '../samples.ts'

type Written = (row: RowWriter) => void

/** A frame as a lane writes it. */
function framed(type: number, write: Written): Frame {
  const bytes = Buffer.alloc(16_384)
  const row = new RowWriter(bytes)
  row.begin(FRAME_HEAD_BYTES)
  write(row)
  const end = sealFrame(bytes, 0, { sequence: 1, type, flags: 0 }, row.at - FRAME_HEAD_BYTES)
  const frame = frameAt(bytes, 0, end)
  if (typeof frame === 'string') throw new Error(frame)
  return frame
}

const reader = new RowReader()
const place = { file: 'journal/0-1-1.jnl', at: 0, sequence: null }
const origin = { lane: 0, start: 1, sequence: 1 }

/** The row as a table takes it, and the record as people see it. */
function bothOf(table: RowTable, type: number, write: Written): { row: RowRecord; record: LogRecord } {
  const frame = framed(type, write)
  const row = unsequencedRow(table, frame, reader)
  if (row === undefined) throw new Error('no row')
  return { row, record: decodeUnsequenced(type, frame.payload, { place, origin }) }
}

const hex = (value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value)
const id = (text: string) => text.replaceAll('-', '')
const orNull = (value: number | undefined) => (value === undefined || value < 0 ? null : value)

const text = fc.oneof(
  fc.constantFrom('', 'v1', 'v2', 'fraud'),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
)
const ms = fc.oneof(
  fc.constant(-1),
  fc.integer({ min: 0, max: 5e9 }).map((micros) => micros / 1000),
)
const count = fc.oneof(fc.constant(-1), fc.nat(2 ** 31))
const usage = fc.option(fc.record({ prompt: count, completion: count, total: count }))
const fault = fc.option(
  fc.record({ code: fc.constantFrom('timeout', 'overload'), message: text, detail: text }),
)
const attempt = fc
  .record({ version: text, endpoint: text, firstByteMs: ms, totalMs: ms, status: fc.nat(599) })
  .map((more) => ({ ...sampleDecision().attempts[0]!, ...more }))
const plan = fc.option(
  fc
    .record({
      role: fc.constantFrom('primary', 'canary', 'arm', 'fallback'),
      experiment: text,
      assigned: text,
      point: fc.oneof(
        fc.constant(-1),
        fc.nat(999_999).map((millionth) => millionth / 1e6),
      ),
    })
    .map(
      (more) =>
        ({ ...sampleDecision().plan!, ...more }) as NonNullable<ReturnType<typeof sampleDecision>['plan']>,
    ),
)
const decision = fc
  .record({
    durationMs: ms,
    model: text,
    served: text,
    degraded: text,
    pin: text,
    isShadow: fc.boolean(),
    status: fc.nat(599),
    traceId: fc.constantFrom('', '4bf92f3577b34da6a3ce929d0e0e4736'),
    configHash: fc.constantFrom('5f'.repeat(32), 'a0'.repeat(32), ''),
    reason: fc.constantFrom('', 'rule', 'canary', 'fallback'),
    operation: fc.constantFrom('', 'infer', 'metadata'),
    attempts: fc.array(attempt, { maxLength: 4 }),
    answer: fc.option(fc.record({ bodyBytes: count, contentType: text })),
    plan,
    fault,
    usage,
    kept: fc.option(
      fc.record({
        how: fc.constantFrom('replayed', 'cached'),
        id: fc.constant(sampleDecision().id),
        ageMs: ms,
      }),
    ),
  })
  .map((more) => sampleDecision(more as Parameters<typeof sampleDecision>[0]))

t.test('decisions', async (t) => {
  fc.assert(
    fc.property(decision, (one) => {
      const both = bothOf('decisions', RECORD_TYPES.decision, (row) => writeDecision(row, one))
      const { record, row } = both
      if (record.type !== 'decision') throw new Error(record.type)
      const { decision: d } = record
      const last = d.attempts.at(-1)
      const values = Object.fromEntries(DECISION_COLUMNS.map((column) => [column.name, hex(column.of(row))]))
      const pending = Buffer.from('pending').toString('hex')
      t.strictSame(values, {
        seq: null,
        time: d.receivedAt,
        id: id(d.id),
        model: d.model,
        version: d.served,
        assigned: d.plan?.assigned ?? '',
        reason: d.reason,
        outcome: d.fault?.code ?? 'ok',
        status: d.status,
        degraded: d.degraded,
        caller: d.client.address,
        user_agent: d.client.userAgent,
        method: d.request.method,
        path: d.request.path,
        protocol: d.protocol,
        operation: d.operation,
        key_source: d.keySource,
        key_digest: pending,
        request_digest: pending,
        answer_digest: pending,
        point: orNull(d.plan?.point),
        experiment: d.plan?.experiment ?? '',
        role: d.plan?.role ?? '',
        duration_ms: orNull(d.durationMs),
        first_byte_ms: orNull(last?.firstByteMs),
        attempts: d.attempts.length,
        endpoint: last?.endpoint ?? '',
        request_bytes: d.request.bodyBytes,
        answer_bytes: orNull(d.answer?.bodyBytes),
        prompt_tokens: orNull(d.usage?.prompt),
        completion_tokens: orNull(d.usage?.completion),
        generation: d.generation,
        config_hash: d.configHash,
        trace_id: d.traceId,
        pin: d.pin,
        is_shadow: d.isShadow,
        kept: d.kept?.how ?? '',
      })
    }),
    { numRuns: 300 },
  )
})

t.test('shadows and streams', async (t) => {
  fc.assert(
    fc.property(fc.option(attempt), attempt, fault, usage, (asked, answered, ended, used) => {
      const { id: requestId, receivedAt } = sampleDecision()
      const about = { id: requestId, receivedAt, model: 'fraud' }
      const fate = asked === null ? 'cap' : 'answered'
      const copy = { ...about, version: 'v3', fate, agreement: 'differ', differences: [0.5, null] } as const
      const shadow = bothOf('shadows', RECORD_TYPES.shadow, (row) =>
        writeShadow(row, { ...copy, attempt: asked }),
      )
      if (shadow.record.type !== 'shadow') throw new Error(shadow.record.type)
      t.strictSame(
        SHADOW_COLUMNS.map((column) => hex(column.of(shadow.row))),
        [null, receivedAt, id(requestId), 'fraud', 'v3', fate, 'differ', asked?.status || null].concat([
          orNull(shadow.record.shadow.attempt?.totalMs),
          '[0.5,null]',
        ] as never[]),
      )
      const summary = used === null ? null : { finishReason: 'stop', usage: used, events: 1, problem: '' }
      const made = sampleStream({ ...about, attempts: [answered] }, { fault: ended, summary })
      const stream = bothOf('streams', RECORD_TYPES.stream, (row) => writeStream(row, made))
      if (stream.record.type !== 'stream') throw new Error(stream.record.type)
      const { stream: s } = stream.record
      t.strictSame(
        STREAM_COLUMNS.map((column) => hex(column.of(stream.row))),
        [
          ...[
            null,
            s.receivedAt,
            id(s.id),
            s.model,
            s.attempt.version,
            s.fate,
            s.status,
            orNull(s.durationMs),
          ],
          ...[s.bodyBytes, s.summary?.finishReason ?? '', orNull(s.summary?.usage?.prompt)],
          ...[orNull(s.summary?.usage?.completion), s.fault?.code ?? ''],
        ],
      )
    }),
    { numRuns: 200 },
  )
})

t.test('what is no row of its table is not taken for one', async (t) => {
  for (const value of [[], [1, 2, 3], new Array(30).fill(0)]) {
    const frame = framed(RECORD_TYPES.decision, (row) => {
      row.array(value.length)
      for (const one of value) row.number(one as number)
    })
    t.equal(unsequencedRow('decisions', frame, reader), undefined)
  }
})
