/** One try at one version, as decision, shadow and stream records keep it. Layout in SPEC.md, "attempt". */
import type { Hedge, HedgeWinner, Role, Sieve } from '../../domain/outcome.ts'
import { fromMicros, toMicros, Words } from './row.ts'
import type { RowWriter } from './row-writer.ts'

export interface AttemptRecord {
  readonly version: string
  readonly role: Role
  /** Milliseconds after the request was received; −1 in the record of a shadow or of a stream's end. */
  readonly afterMs: number
  readonly endpoint: string
  readonly reused: boolean
  /** Milliseconds from the attempt's start; −1 where a phase was not reached. */
  readonly queueMs: number
  readonly connectMs: number
  readonly firstByteMs: number
  readonly totalMs: number
  /** Of the answer; 0 when there was none. */
  readonly status: number
  /** While it is passed on: as its head announced, −1 when it did not. */
  readonly answerBytes: number
  /** Empty when there was none. */
  readonly faultCode: string
  readonly faultDetail: string
  /** How the breaker counted it; `streaming`: its answer is still being passed on, the stream's record will tell. */
  readonly verdict: 'success' | 'failure' | 'neutral' | 'streaming'
  /** Null: only one copy was sent, as of every attempt in the records of versions before hedging. */
  readonly hedge: Hedge | null
  /** Null: all endpoints could be chosen. */
  readonly sieve: Sieve | null
}

const ROLE_WORDS = new Words<Role>(['primary', 'canary', 'arm', 'shadow', 'fallback'])
const VERDICT_WORDS = new Words<AttemptRecord['verdict']>(['success', 'failure', 'neutral', 'streaming'])
const WINNER_WORDS = new Words<HedgeWinner>(['first', 'second', 'none'])

export const NAME_LENGTH_MAX = 128
export const DETAIL_LENGTH_MAX = 200

export function encodeRole(role: Role): number | string {
  return ROLE_WORDS.encode(role)
}

export function decodeRole(value: unknown): Role {
  return ROLE_WORDS.decode(value)
}

export function writeAttempt(row: RowWriter, attempt: AttemptRecord): void {
  const { hedge, sieve } = attempt
  row.array(sieve !== null ? 16 : hedge === null ? 14 : 15)
  row.text(attempt.version, NAME_LENGTH_MAX)
  row.word(ROLE_WORDS.encode(attempt.role))
  row.number(toMicros(attempt.afterMs))
  row.text(attempt.endpoint, DETAIL_LENGTH_MAX)
  row.boolean(attempt.reused)
  row.number(toMicros(attempt.queueMs))
  row.number(toMicros(attempt.connectMs))
  row.number(toMicros(attempt.firstByteMs))
  row.number(toMicros(attempt.totalMs))
  row.number(attempt.status)
  row.number(attempt.answerBytes)
  row.text(attempt.faultCode, NAME_LENGTH_MAX)
  row.text(attempt.faultDetail, DETAIL_LENGTH_MAX)
  row.word(VERDICT_WORDS.encode(attempt.verdict))
  if (hedge !== null) writeHedge(row, hedge, attempt.endpoint)
  else if (sieve !== null) row.nil()
  if (sieve === null) return
  row.array(3)
  row.number(sieve.eligible)
  row.number(sieve.endpoints)
  row.boolean(sieve.isHealthIgnored)
}

function writeHedge(row: RowWriter, hedge: Hedge, endpoint: string): void {
  row.array(4)
  row.text(hedge.first === endpoint ? '' : hedge.first, DETAIL_LENGTH_MAX)
  row.text(hedge.second === endpoint ? '' : hedge.second, DETAIL_LENGTH_MAX)
  row.number(toMicros(hedge.afterMs))
  row.word(WINNER_WORDS.encode(hedge.won))
}

export function decodeAttempt(row: readonly unknown[]): AttemptRecord {
  return {
    version: String(row[0]),
    role: ROLE_WORDS.decode(row[1]),
    afterMs: fromMicros(row[2]),
    endpoint: String(row[3]),
    reused: row[4] === true,
    queueMs: fromMicros(row[5]),
    connectMs: fromMicros(row[6]),
    firstByteMs: fromMicros(row[7]),
    totalMs: fromMicros(row[8]),
    status: Number(row[9]),
    answerBytes: Number(row[10]),
    faultCode: String(row[11]),
    faultDetail: String(row[12]),
    verdict: VERDICT_WORDS.decode(row[13]),
    hedge: decodeHedge(row[14], String(row[3])),
    sieve: decodeSieve(row[15]),
  }
}

function decodeSieve(row: unknown): Sieve | null {
  if (!Array.isArray(row)) return null
  const [eligible, endpoints, isHealthIgnored] = row as unknown[]
  return {
    eligible: Number(eligible),
    endpoints: Number(endpoints),
    isHealthIgnored: isHealthIgnored === true,
  }
}

function decodeHedge(row: unknown, endpoint: string): Hedge | null {
  if (!Array.isArray(row)) return null
  const [first, second, afterMs, won] = row as unknown[]
  return {
    first: String(first || endpoint),
    second: String(second || endpoint),
    afterMs: fromMicros(afterMs),
    won: WINNER_WORDS.decode(won),
  }
}
