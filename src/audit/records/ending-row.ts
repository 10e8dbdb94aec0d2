/**
 * Pieces of a row that say how a story ended, as decision and stream records share them: the fault, what the
 * dialect read of the answer, where a kept one came from. Layouts in SPEC.md, "fault", "usage", "kept".
 */
import type { Kept, Usage } from '../../domain/outcome.ts'
import { DETAIL_LENGTH_MAX, NAME_LENGTH_MAX } from './attempt-row.ts'
import { fromMicros, idText, toMicros, Words } from './row.ts'
import type { RowWriter } from './row-writer.ts'

export interface FaultRecord {
  readonly code: string
  readonly message: string
  readonly detail: string
}

export function writeFault(row: RowWriter, fault: FaultRecord | null): void {
  if (fault === null) return row.nil()
  row.array(3)
  row.text(fault.code, NAME_LENGTH_MAX)
  row.text(fault.message, DETAIL_LENGTH_MAX)
  row.text(fault.detail, DETAIL_LENGTH_MAX)
}

export function decodeFault(value: unknown): FaultRecord | null {
  if (!Array.isArray(value)) return null
  return { code: String(value[0]), message: String(value[1]), detail: String(value[2]) }
}

export function writeUsage(row: RowWriter, usage: Usage | null): void {
  if (usage === null) return row.nil()
  row.array(3)
  row.number(usage.prompt)
  row.number(usage.completion)
  row.number(usage.total)
}

export function decodeUsage(value: unknown): Usage | null {
  if (!Array.isArray(value)) return null
  return { prompt: Number(value[0]), completion: Number(value[1]), total: Number(value[2]) }
}

export const HOW_KEPT = new Words<Kept['how']>(['replayed', 'cached'])

export function writeKept(row: RowWriter, kept: Kept | null): void {
  if (kept === null) return row.nil()
  row.array(3)
  row.word(HOW_KEPT.encode(kept.how))
  row.id(kept.id)
  row.number(toMicros(kept.ageMs))
}

export function decodeKept(value: unknown): Kept | null {
  if (!Array.isArray(value)) return null
  return { how: HOW_KEPT.decode(value[0]), id: idText(value[1]), ageMs: fromMicros(value[2]) }
}
