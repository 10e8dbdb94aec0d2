/**
 * Tells how an answer that was passed on as it came ended, from the record written at its end; and what it means
 * when there is none: the log cannot say which of the two it was.
 */
import type { StreamRecord } from '../audit/records/stream-record.ts'
import { attemptLine, bytesOf, faultLine, msOf, summaryLines } from './explain-words.ts'

export const STILL_OPEN = 'it is still open, or the process ended before the end was recorded'

const FATE_WORDS = {
  complete: 'it was complete after',
  broken: 'it broke off, and left the caller with a message that is cut short, after',
  'client-gone': 'its caller was gone after',
} as const

export function streamLines(stream: StreamRecord): string[] {
  const { fate, durationMs, attempt, bodyBytes, fault, summary } = stream
  if (fate === 'withheld')
    return [`its caller got 503 instead after ${msOf(durationMs)}: its record was not on the disk in time`]
  const isEvents = summary !== null && summary.events >= 0
  const passed = isEvents ? `${bytesOf(bodyBytes)} in ${eventsOf(summary.events)}` : bytesOf(bodyBytes)
  const lines = [`${FATE_WORDS[fate] ?? `${fate} after`} ${msOf(durationMs)}: ${passed} were passed on`]
  if (attempt.firstByteMs >= 0) {
    const first = isEvents ? 'first content' : 'first byte'
    lines.push(`the ${first} came ${msOf(attempt.firstByteMs)} after ${attempt.version} was asked`)
  }
  if (fault !== null) lines.push(`because of ${faultLine(fault.code, fault.detail || fault.message)}`)
  if (summary !== null) {
    if (summary.problem !== '') lines.push(`by its dialect’s own rules it was not whole: ${summary.problem}`)
    lines.push(...summaryLines(summary.finishReason, summary.usage))
  }
  lines.push(attemptLine(attempt))
  return lines
}

function eventsOf(events: number): string {
  return events === 1 ? '1 event' : `${events} events`
}
