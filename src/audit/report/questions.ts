/**
 * What a report asks the log, as SQL over its tables (index/tables.ts). One pass over the decisions counts
 * everything at once; each further pass over 10^7 of them costs a second, so there are as few as can be.
 *
 * Names and times come from the caller of the report and are bound as parameters or are checked numbers. Each number
 * comes as DOUBLE: exact to 2^53 and no bigint.
 */
import { FAULTS, type FaultTraits } from '../../domain/fault.ts'
import type { Range } from './facts.ts'
import { BINS, LEAST_MS } from './latencies.ts'
import type { Slots } from './slots.ts'

export interface Frame {
  readonly range: Range
  readonly slots: Slots
  readonly cuts: readonly number[]
}

/** All that the questions look at, so that no other column is read of what is not indexed. */
export const ASKED_COLUMNS = {
  decisions: [
    ...['seq', 'time', 'id', 'model', 'version', 'assigned', 'outcome', 'degraded', 'caller', 'key_digest'],
    ...['operation', 'duration_ms', 'kept'],
  ],
  shadows: ['seq', 'time', 'model', 'version', 'fate', 'agreement', 'duration_ms'],
  streams: ['time', 'model', 'fate'],
} as const

/** Few in any log, and what comes before or after the range may matter: read whole. */
const RARE = ['config', 'approval', 'gap', 'recovery', 'start', 'stop', 'prune']
const OF_MODEL = ['breaker', 'endpoint', 'rollout']
const OF_GATEWAY = ['lane', 'pressure', 'note', 'hold', 'erase', 'key']
export const EVENTS_MAX = 50_000

/** $1 the model. Events of the range, what the range begins with, and the rare ones of all times. */
export function eventsQuestion(range: Range): string {
  const columns = `seq::DOUBLE AS sequence, epoch_ms(time)::DOUBLE AS at_ms, type, model, version, details`
  return `
    SELECT ${columns} FROM events WHERE type IN (${words(RARE)})
    UNION ALL
    SELECT ${columns} FROM events
    WHERE ${within(range)} AND ((type IN (${words(OF_MODEL)}) AND model = $1) OR type IN (${words(OF_GATEWAY)}))
    UNION ALL
    SELECT ${columns} FROM events
    WHERE time < ${moment(range.from)} AND type IN ('breaker', 'endpoint') AND model = $1
    QUALIFY row_number() OVER (
      PARTITION BY type, version, CASE WHEN type = 'endpoint' THEN details->>'$.endpoint' END
      ORDER BY time DESC, seq DESC NULLS FIRST
    ) = 1
    ORDER BY at_ms, sequence NULLS LAST
    LIMIT ${EVENTS_MAX + 1}`
}

/** $1 the model. Grouped by what lies in the log, and counted in whole numbers: a third faster than by what is made of it. */
export function trafficQuestion(frame: Frame): string {
  return `
    SELECT slot, period, version,
      CASE WHEN version <> '' AND degraded = '' THEN version ELSE assigned END AS meant,
      outcome, degraded, is_kept, is_question, bin, ${COUNTS_AS_DOUBLE}
    FROM (
      SELECT ${slotOf(frame)} AS slot, ${periodOf(frame)} AS period, version, assigned, outcome, degraded,
        kept <> '' AS is_kept, operation IN ('metadata', 'ready') AS is_question, ${BIN} AS bin, ${COUNTS}
      FROM decisions WHERE model = $1 AND ${within(frame.range)}
      GROUP BY ALL
    )`
}

/**
 * $1 the model. The row without `consequence` is of all together. `range`: of which it is known that all that is asked for lies
 * within.
 */
export function consequencesQuestion(range: Range): string {
  return `
    SELECT because, consequence, count(*)::DOUBLE AS requests, count(DISTINCT caller)::DOUBLE AS callers,
      count(DISTINCT CASE WHEN length(key_digest) = 32 THEN key_digest END)::DOUBLE AS keys
    FROM (
      SELECT CASE outcome ${CLASSES} ELSE '' END AS because,
        CASE WHEN degraded = '' THEN 'fail' ELSE degraded END AS consequence, caller, key_digest
      FROM decisions
      WHERE model = $1 AND ${within(range)} AND operation NOT IN ('metadata', 'ready')
        AND (degraded <> '' OR outcome IN (${words(DECLARABLE.map(([code]) => code))}))
    )
    GROUP BY GROUPING SETS ((because, consequence), ())`
}

/** Whether the question above is about requests that ended so. */
export function isConsequence({ outcome, degraded }: { outcome: string; degraded: string }): boolean {
  return degraded !== '' || DECLARABLE.some(([code]) => code === outcome)
}

/** $1 the model. */
export function shadowsQuestion(frame: Frame): string {
  return `
    SELECT slot, version, fate, agreement, bin, ${COUNTS_AS_DOUBLE}
    FROM (
      SELECT ${slotOf(frame)} AS slot, version, fate, agreement, ${BIN} AS bin, ${COUNTS}
      FROM shadows WHERE model = $1 AND ${within(frame.range)}
      GROUP BY ALL
    )`
}

/** $1 the model. */
export function streamsQuestion({ range }: Frame): string {
  return `
    SELECT fate, count(*)::DOUBLE AS answers FROM streams WHERE model = $1 AND ${within(range)}
    GROUP BY fate ORDER BY answers DESC`
}

/** $1 the model. Whether the costly next question is worth asking. */
export const HAS_OUTCOMES = `SELECT 1 FROM events WHERE type = 'outcome' AND model = $1 LIMIT 1`

/** $1 the model. Outcomes come late, so those of all times; of several of a name for one decision the last counts. In order, so that the sums are the same each time. */
export function outcomesQuestion(frame: Frame): string {
  return `
    WITH told AS (
      SELECT try_cast(told[1] AS UUID) AS id, told[2] AS name, told[3] AS unit,
        try_cast(told[4] AS DOUBLE) AS value, place
      FROM (
        SELECT json_extract_string(details, ['$.id', '$.name', '$.unit', '$.value']) AS told,
          coalesce(seq, 9007199254740991) AS place
        FROM events WHERE type = 'outcome' AND model = $1
      )
    ), last AS (
      SELECT id, name, unit, arg_max(value, place) AS value FROM told GROUP BY ALL
    )
    SELECT ${slotOf(frame)} AS slot, ${periodOf(frame)} AS period, version, name, unit,
      count(*)::DOUBLE AS n, sum(value ORDER BY id) AS sum,
      sum(value * value ORDER BY id) AS sum_of_squares
    FROM decisions JOIN last USING (id)
    WHERE model = $1 AND ${within(frame.range)} AND isfinite(value)
    GROUP BY ALL ORDER BY ALL`
}

/** When the log begins, whatever is in it. In order, because files and parts of them are then passed over by what they say of themselves. */
export const OLDEST = `
  SELECT epoch_ms(min(time))::DOUBLE AS oldest FROM (
    (SELECT time FROM decisions ORDER BY time LIMIT 1)
    UNION ALL (SELECT time FROM events WHERE time IS NOT NULL ORDER BY time LIMIT 1)
  )`

/** All names of models that the log knows, for a name it does not know. */
export const MODELS = `
  SELECT DISTINCT model FROM (
    SELECT model FROM decisions UNION ALL SELECT model FROM shadows UNION ALL SELECT model FROM events
  ) WHERE model <> '' ORDER BY model LIMIT 1000`

/** $1 the model. */
export const LIFETIME = `
  SELECT count(*)::DOUBLE AS requests, epoch_ms(min(time))::DOUBLE AS first, epoch_ms(max(time))::DOUBLE AS last
  FROM decisions WHERE model = $1`

const COUNTS = `count(*) AS records, count(seq) AS sequenced, min(seq) AS first, max(seq) AS last`
const COUNTS_AS_DOUBLE = `records::DOUBLE AS records, sequenced::DOUBLE AS sequenced,
      first::DOUBLE AS first_sequence, last::DOUBLE AS last_sequence`
const BIN = `floor(log2(greatest(duration_ms, ${LEAST_MS})) * ${BINS})::INTEGER`

const DECLARABLE = (Object.entries(FAULTS) as [string, FaultTraits][]).filter(
  ([, { consequence }]) => consequence !== null,
)
const CLASSES = DECLARABLE.map(([code, { consequence }]) => `WHEN '${code}' THEN '${consequence}'`).join(' ')

function within({ from, to }: Range): string {
  return `time >= ${moment(from)} AND time < ${moment(to)}`
}

function moment(ms: number): string {
  return `make_timestamp_ms(${Math.trunc(ms)})`
}

/** What a clock that was wrong put outside of the slots is in the nearest one. */
function slotOf({ slots }: Frame): string {
  const slot = `epoch_ms(time) // ${slots.widthMs} - ${slots.base}`
  return `least(greatest(${slot}, 0), ${slots.starts.length - 1})::INTEGER`
}

/** A tree of comparisons, so that many cuts cost a row a few. */
function periodOf({ cuts }: Frame): string {
  const branch = (low: number, high: number): string => {
    if (low === high) return String(low)
    const middle = (low + high) >> 1
    return `CASE WHEN time < ${moment(cuts[middle]!)} THEN ${branch(low, middle)} ELSE ${branch(middle + 1, high)} END`
  }
  return branch(0, cuts.length)
}

function words(list: readonly string[]): string {
  return list.map((word) => `'${word}'`).join(', ')
}
