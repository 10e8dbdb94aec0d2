/** An attempt in a row: what was added at its end, and rows from before. */
import t from 'tap'
import {
  type DecisionRecord,
  decodeDecision,
  writeDecision,
} from '../../src/audit/records/decision-record.ts'
import { unpack } from '../../src/audit/records/msgpack.ts'
import { RowWriter } from '../../src/audit/records/row-writer.ts'
import { sampleDecision } from './samples.ts'

function bytesOf(record: DecisionRecord): Buffer {
  const row = new RowWriter(Buffer.alloc(10_000))
  row.begin(0)
  writeDecision(row, record)
  return row.bytes.subarray(0, row.at)
}

t.test('an attempt for which two copies were sent tells both, and takes no place in others', async (t) => {
  const [attempt] = sampleDecision().attempts
  const hedge = {
    first: 'http://10.0.0.11:8000',
    second: 'http://10.0.0.12:8000',
    afterMs: 12.5,
    won: 'second',
  } as const
  const hedged = sampleDecision({ attempts: [{ ...attempt!, hedge }, attempt!] })
  const row = unpack(bytesOf(hedged)) as unknown[][]
  t.strictSame(decodeDecision(row), hedged)
  t.strictSame(
    row[20]!.map((places) => (places as unknown[]).length),
    [15, 14],
  )
})

t.test('from how many endpoints it was chosen is told, with a second copy and without', async (t) => {
  const { attempts, ...more } = sampleDecision()
  const sieve = { eligible: 3, endpoints: 4, isHealthIgnored: true }
  const hedge = { first: 'http://a', second: 'http://b', afterMs: 1, won: 'second' } as const
  for (const copies of [null, hedge]) {
    const record = { ...more, attempts: [{ ...attempts[0]!, sieve, hedge: copies }] }
    t.strictSame(decodeDecision(unpack(bytesOf(record)) as unknown[]), record)
  }
})
