/** What opening the log found of a run that had not ended in order, in words; nothing when all was well. */
import type { RecoveryReport } from '../audit/records/notes.ts'

export function recoveryLines(report: RecoveryReport): readonly string[] {
  const { journals, replayed, digestsLost, missing, salvaged, unknownCrash, torn } = report
  const lines: string[] = []
  if (journals > 0) {
    const digests = digestsLost > 0 ? ` (${digestsLost} digests died with it)` : ''
    lines.push(`the last run did not end in order: ${replayed} records were brought into the log${digests}`)
  }
  if (unknownCrash > 0) {
    lines.push(
      `${unknownCrash} requests were under way when the last run ended; whether they were answered is not known (unknown_crash)`,
    )
  }
  for (const { file, kept, bytes, where } of torn) {
    lines.push(`${file}: ${bytes} damaged bytes (${where}) were set aside in ${kept}`)
  }
  if (salvaged > 0) lines.push(`${salvaged} records stood whole behind damage and were appended again`)
  if (missing > 0) lines.push(`${missing} records are known to be missing; see the recovery record`)
  return lines
}
