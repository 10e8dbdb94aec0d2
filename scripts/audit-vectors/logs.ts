/** The logs of the test vectors, in words of the records they have. */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { listSegments } from '../../src/audit/paths.ts'
import type { DecisionRecord } from '../../src/audit/records/decision-record.ts'
import { CONTROL_LANE, WRITER_LANE } from '../../src/audit/records/payload.ts'
import { VectorLog } from './log-writer.ts'

const NODE = '5a17c0ffee5a17c0'
const NO_FINDINGS = { journals: 0, replayed: 0, known: 0, digestsLost: 0, salvaged: 0, torn: [] }

function refusal(number: number): DecisionRecord {
  const receivedAt = Date.UTC(2026, 10, 2, 9) + number
  return {
    id: `${receivedAt.toString(16).padStart(12, '0')}7000800000000000${String(number).padStart(4, '0')}`.replace(
      /^(.{8})(.{4})(.{4})(.{4})(.{12})$/,
      '$1-$2-$3-$4-$5',
    ),
    receivedAt,
    durationMs: 0.25,
    generation: 1,
    configHash: '5f'.repeat(32),
    traceId: '',
    client: { address: '10.0.0.5', userAgent: 'curl/8.5.0' },
    request: {
      method: 'POST',
      path: '/v2/models/fraud/infer',
      contentType: 'application/json',
      bodyBytes: 64,
    },
    model: 'fraud',
    protocol: 'open-inference',
    operation: 'infer',
    pin: '',
    isShadow: false,
    keySource: '',
    plan: null,
    attempts: [],
    served: '',
    reason: '',
    degraded: '',
    status: 429,
    fault: { code: 'rate_limited', message: 'too many requests', detail: '' },
    answer: { bodyBytes: 70, contentType: 'application/json' },
    finishReason: '',
    kept: null,
    usage: null,
  }
}

function begin(log: VectorLog): void {
  log.note(CONTROL_LANE, 'start', { version: '1.0.0', node: 'v20', platform: 'linux x64', lanes: 2, pid: 7 })
}

/** `records` of two lanes, mostly short ones; `from` makes them different from others. */
function traffic(log: VectorLog, records: number, from: number): void {
  for (let each = 0; each < records; each += 1) {
    const number = from + each
    if (each % 8 === 0) log.decision(each % 2, refusal(number))
    else log.note(each % 2, 'unread', { lane: each % 2, address: '10.0.0.9', connections: number })
  }
}

export interface GoodLog {
  readonly log: VectorLog
  /** Signed by the first key, before the second took over. */
  readonly early: string
}

/**
 * Two runs, the first of which died; more than one tile of records; a gap, losses told by a recovery, another key, and
 * four records behind the checkpoint. `course`: 0; another number gives a log that is the same up to the second run.
 */
export function writeGood(dataDir: string, course = 0): GoodLog {
  const log = new VectorLog(dataDir, NODE)
  begin(log)
  traffic(log, 60, 0)
  const { from, to } = log.lose(1, 3)
  log.note(1, 'gap', { lane: 1, since: Date.UTC(2026, 10, 2, 9), records: 3, from, to, cause: 'ENOSPC' })
  traffic(log, 27, 100)
  log.endSegment()
  traffic(log, 50, 200)
  log.lose(0, 2)
  traffic(log, 20, 300)
  const early = log.checkpoint()
  log.run()
  log.note(WRITER_LANE, 'recovery', { ...NO_FINDINGS, journals: 2, missing: 2, unknownCrash: 1 })
  begin(log)
  traffic(log, 60, 400 + course)
  log.rotate()
  traffic(log, 30, 500 + course)
  log.endSegment()
  traffic(log, 40, 600 + course)
  log.note(CONTROL_LANE, 'stop', { cause: 'SIGTERM', abandoned: 0 })
  log.checkpoint()
  traffic(log, 4, 700)
  log.endSegment()
  return { log, early }
}

/** Whole, but for five records of lane 1 that no record accounts for. */
export function writeIncomplete(dataDir: string): void {
  const log = new VectorLog(dataDir, 'dec0ded0facade00')
  begin(log)
  traffic(log, 8, 0)
  log.lose(1, 5)
  traffic(log, 8, 10)
  log.note(CONTROL_LANE, 'stop', { cause: 'SIGTERM', abandoned: 0 })
  log.checkpoint()
  log.endSegment()
}

/** The first two of three segments were pruned, and a record says so. The second is kept as `rest`, as if deleting had not come so far. */
export function writePruned(dataDir: string, rest: string): void {
  const log = new VectorLog(dataDir, 'feed5eed00000001')
  begin(log)
  traffic(log, 240, 0)
  log.endSegment()
  traffic(log, 30, 240)
  const through = log.next
  const root = log.root().toString('base64')
  log.endSegment()
  traffic(log, 12, 300)
  log.note(WRITER_LANE, 'prune', { by: 'modelgate', records: through, through, root, cause: 'older than 1d' })
  log.note(CONTROL_LANE, 'stop', { cause: 'SIGTERM', abandoned: 0 })
  log.checkpoint()
  log.endSegment()
  const [first, second] = listSegments(dataDir)
  rmSync(first!.path)
  cpSync(second!.path, rest)
  rmSync(second!.path)
  rmSync(join(dataDir, 'tile', '0', '000'))
}

/** Somebody deleted the beginning and put a prune record behind the checkpoint, which needs no key. */
export function writeStolen(dataDir: string): void {
  const log = new VectorLog(dataDir, 'badbadbadbadbad0')
  begin(log)
  traffic(log, 10, 0)
  const through = log.next
  const root = log.root().toString('base64')
  log.endSegment()
  traffic(log, 6, 20)
  log.checkpoint()
  log.note(WRITER_LANE, 'prune', { by: 'modelgate', records: through, through, root, cause: 'older than 1d' })
  log.endSegment()
  rmSync(listSegments(dataDir)[0]!.path)
}

/** What differs in a fork: the segments of the second run, the tiles and the checkpoint. */
export function copyTail(from: string, to: string): void {
  const files = [
    ...listSegments(from)
      .slice(-2)
      .map(({ file }) => file),
    'tile',
    'checkpoint',
  ]
  for (const file of files) cpSync(join(from, file), join(to, file), { recursive: true })
}
