/** A log with a record of each kind, spread over closed segments, the open one and a journal, without threads. */
import type { LaneJournal } from '../../../src/audit/lane-journal.ts'
import { type BenchLog, type LogOptions, openBenchLog } from '../bench-log.ts'
import { sampleDecision, sampleInputs, sampleOpened, sampleStream } from '../samples.ts'

/** Records that one turn writes: decisions, streams, shadows, events. */
export const TURN = { decisions: 11, streams: 1, shadows: 1, events: 1 } as const

export function openSmallLog(options: LogOptions = {}): BenchLog {
  return openBenchLog({ segmentBytesMax: 20_000, ...options })
}

/** One turn of a lane; ids of its decisions. */
export function turn(lane: LaneJournal, at: number): string[] {
  const decisions = Array.from({ length: 10 }, (_, index) =>
    sampleDecision({ receivedAt: at + index, model: index % 2 === 0 ? 'fraud' : 'churn' }),
  )
  const opened = sampleOpened({ receivedAt: at })
  for (const decision of [...decisions, opened]) lane.decision(decision, sampleInputs, () => {})
  lane.stream(sampleStream(opened))
  const [{ id, attempts }] = decisions as [ReturnType<typeof sampleDecision>]
  lane.shadow({
    id,
    receivedAt: at,
    model: 'fraud',
    version: 'v3',
    fate: 'answered',
    agreement: 'differ',
    differences: [0.25, null],
    attempt: { ...attempts[0]!, role: 'shadow', afterMs: -1 },
  })
  lane.note('breaker', {
    at,
    model: 'fraud',
    version: 'v2',
    from: 'closed',
    to: 'open',
    cause: '"5" of 10 failed',
    enforced: true,
  })
  lane.flush()
  return [...decisions.map((decision) => decision.id), opened.id]
}
