/**
 * What a gateway's log says, read as an auditor would: from the files in its data directory, beside the
 * running gateway or after it, with the project's own reader.
 */
import type { LogRecord } from '../../src/audit/decode.ts'
import { type DecisionFound, findDecision, type ShadowFound, type StreamFound } from '../../src/audit/find.ts'
import { readLog } from '../../src/audit/read.ts'
import { eventually } from './eventually.ts'

export async function recordsIn(dataDir: string): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  for await (const record of readLog(dataDir)) records.push(record)
  return records
}

export async function decisionsIn(dataDir: string): Promise<DecisionFound['decision'][]> {
  const records = await recordsIn(dataDir)
  return records.flatMap((record) => (record.type === 'decision' ? [record.decision] : []))
}

/** Every decision as it was in the end: of an answer that was passed on, with what its stream's record tells. */
export function endedDecisions(records: readonly LogRecord[]): DecisionFound['decision'][] {
  const ends = new Map(
    records.flatMap((record) => (record.type === 'stream' ? [[record.stream.id, record.stream]] : [])),
  )
  return records.flatMap((record) => {
    if (record.type !== 'decision') return []
    const { decision } = record
    const end = ends.get(decision.id)
    if (end === undefined) return [decision]
    const { status, fault, attempt, bodyBytes } = end
    const attempts = [...decision.attempts.slice(0, -1), attempt]
    return [{ ...decision, status, fault, attempts, answer: { ...decision.answer!, bodyBytes } }]
  })
}

/** The record of one answer that was received: it must be there at once, for it was written before the answer left. */
export async function decisionOf(dataDir: string, id: unknown): Promise<DecisionFound['decision']> {
  const story = await findDecision(dataDir, String(id))
  if (story?.decision == null) throw new Error(`the log has no decision ${String(id)}`)
  return story.decision.decision
}

/** Waits until that many shadow copies of a request were told. */
export function shadowsOf(dataDir: string, id: unknown, count = 1): Promise<ShadowFound['shadow'][]> {
  return eventually(
    async () => {
      const story = await findDecision(dataDir, String(id))
      const shadows = story?.shadows ?? []
      return shadows.length >= count && shadows.map(({ shadow }) => shadow)
    },
    { until: `${count} shadow records of ${String(id)}` },
  )
}

/** Waits for the record of how an answer that was passed on ended. */
export function streamOf(dataDir: string, id: unknown): Promise<StreamFound['stream']> {
  return eventually(async () => (await findDecision(dataDir, String(id)))?.stream?.stream, {
    until: `a stream record of ${String(id)}`,
  })
}
