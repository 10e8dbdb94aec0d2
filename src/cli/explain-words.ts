/**
 * Words that several parts of an explanation share: times, sizes, tokens, faults, and one attempt in one line.
 * They only speak; what they speak of was read and decoded by the log's own readers.
 */
import { UNKNOWN_CRASH } from '../audit/inflight/left-inflight.ts'
import type { AttemptRecord } from '../audit/records/attempt-row.ts'
import { FAULTS, type FaultCode } from '../domain/fault.ts'
import type { HedgeWinner, Kept, Usage } from '../domain/outcome.ts'

export function attemptLine(attempt: AttemptRecord): string {
  return `${ownLine(attempt)}${hedgeWords(attempt)}${sieveWords(attempt)}`
}

function sieveWords({ sieve }: AttemptRecord): string {
  if (sieve === null) return ''
  const { eligible, endpoints, isHealthIgnored } = sieve
  const who = eligible === endpoints ? `all ${endpoints}` : `${eligible} of ${endpoints}`
  const why = isHealthIgnored
    ? 'fewer than half were healthy, which was ignored'
    : 'the others failed or were unhealthy'
  return `; chosen from ${who} endpoints: ${why}`
}

function ownLine(attempt: AttemptRecord): string {
  const { version, role, endpoint, reused, verdict } = attempt
  if (attempt.faultCode === 'breaker-open') return `${version} as ${role} not asked: its breaker refused`
  const who = `${version} as ${role}${endpoint === '' ? '' : ` at ${placeOf(endpoint, reused)}`}`
  if (verdict === 'streaming') {
    const began = `began after ${msOf(attempt.totalMs)}`
    return `${who} → ${attempt.status}, passed on as it came (${began}); counted at its end`
  }
  if (attempt.faultCode === UNKNOWN_CRASH) return `${who}, begun; what became of it is not known`
  const outcome =
    attempt.faultCode === ''
      ? `${attempt.status}, ${bytesOf(attempt.answerBytes)}`
      : faultLine(attempt.faultCode, attempt.faultDetail)
  return `${who} → ${outcome} (${phasesLine(attempt)}); counted as ${verdict}`
}

function hedgeWords({ hedge }: AttemptRecord): string {
  if (hedge === null) return ''
  const { first, second, afterMs, won } = hedge
  const where = second === first ? `there, too` : `to ${second}`
  const sent = `; the copy at ${first} was late, so after ${msOf(afterMs)} a second one went ${where}`
  return `${sent}: ${WON_WORDS[won] ?? won}`
}

const WON_WORDS: Readonly<Record<HedgeWinner, string>> = {
  first: 'the first one’s answer counts after all',
  second: 'the second one’s answer counts',
  none: 'neither brought a good answer that anybody waited for',
}

function placeOf(endpoint: string, reused: boolean): string {
  if (endpoint === 'pool') return 'the local scoring pool'
  return `${endpoint}${reused ? ', kept-alive connection' : ''}`
}

function phasesLine({ queueMs, connectMs, firstByteMs, totalMs }: AttemptRecord): string {
  const phases: [string, number][] = [
    ['queue', queueMs],
    ['connect', connectMs],
    ['first byte', firstByteMs],
    ['total', totalMs],
  ]
  return (
    phases
      .filter(([, ms]) => ms >= 0)
      .map(([name, ms]) => `${name} ${msOf(ms)}`)
      .join(', ') || 'no phase was reached'
  )
}

export function faultLine(code: string, detail: string): string {
  const meaning = Object.hasOwn(FAULTS, code) ? FAULTS[code as FaultCode].meaning : ''
  return [code, meaning, detail].filter((part) => part !== '').join(': ')
}

/** Why the model stopped, and its tokens; no line where nothing was told. */
export function summaryLines(finishReason: string, usage: Usage | null): string[] {
  const tokens: readonly (readonly [number, string])[] =
    usage === null
      ? []
      : [
          [usage.prompt, 'of the prompt'],
          [usage.completion, 'of the completion'],
          [usage.total, 'in all'],
        ]
  const told = tokens.filter(([count]) => count >= 0).map(([count, what]) => `${count} ${what}`)
  const lines = finishReason === '' ? [] : [`the model stopped because of: ${finishReason}`]
  return told.length === 0 ? lines : [...lines, `tokens: ${told.join(', ')}`]
}

/** Where an answer came from that had been given before. */
export function keptLine({ how, id, ageMs }: Kept): string {
  const why =
    how === 'replayed' ? 'it is a repeat of that one, by its idempotency key' : 'both asked the same'
  return `it is the answer to request ${id}, given ${msOf(ageMs)} before: ${why}`
}

export function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').replace('Z', ' UTC')
}

export function msOf(ms: number): string {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`
  return ms < 10_000 ? `${ms.toFixed(ms < 100 ? 2 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`
}

export function bytesOf(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}

/** `bytes` −1: not known, or not yet. */
export function bodyOf(bytes: number, contentType: string): string {
  const type = contentType || 'an unnamed type'
  return bytes < 0 ? `${type} of a length that was not announced` : `${bytesOf(bytes)} of ${type}`
}
