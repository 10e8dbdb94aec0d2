/**
 * What a gateway's log says, read as an auditor would: from the files in its data directory, beside the
 * running gateway or after it, with the project's own reader.
 */
import type { LogRecord } from '../../src/audit/decode.ts'
import { type DecisionFound, findDecision, type ShadowFound } from '../../src/audit/find.ts'
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
