/** What the log counts of itself, as metrics read at scrape from shared memory. */
import type { AuditCounts } from '../audit/open-audit.ts'
import type { Metric } from '../observe/metric-table.ts'

type Count = keyof AuditCounts

/** Lanes whose records cannot be written at present: those that answer 503, and those that serve on. */
export interface LanesInTrouble {
  readonly refusing: number
  readonly losing: number
}

const COUNTERS: readonly (readonly [name: string, count: Count, help: string])[] = [
  ['modelgate_log_records_written_total', 'written', 'Records written to the lanes’ journals.'],
  ['modelgate_log_records_sequenced_total', 'sequenced', 'Records that have their place in the log.'],
  ['modelgate_log_records_lost_total', 'lost', 'Records that could not be written; the log counts them too.'],
  [
    'modelgate_log_answers_receipted_total',
    'released',
    'Answers that left with a receipt: their record was on the disk.',
  ],
  [
    'modelgate_log_answers_withheld_total',
    'withheld',
    'Answers that did not leave, because their record was not on the disk in time.',
  ],
  ['modelgate_log_digests_lost_total', 'digestsLost', 'Keyed digests that could not be computed.'],
]

export function logMetrics(counts: () => AuditCounts, lanes: LanesInTrouble): readonly Metric[] {
  const counters = COUNTERS.map(
    ([name, count, help]): Metric => ({
      name,
      type: 'counter',
      labels: [],
      help,
      samples: () => [{ labels: [], value: counts()[count] }],
    }),
  )
  return [
    ...counters,
    {
      name: 'modelgate_log_receipt_wait_seconds_total',
      type: 'counter',
      labels: [],
      help: 'How long the answers with a receipt waited for the disk, together.',
      samples: () => [{ labels: [], value: counts().waitedMs / 1000 }],
    },
    gauge(
      'modelgate_log_answers_waiting',
      'Answers that wait for their record to be on the disk.',
      () => counts().waiting,
    ),
    gauge(
      'modelgate_log_unavailable_lanes',
      'Lanes that answer 503 because their records cannot be written, or not be synced in time.',
      () => lanes.refusing,
    ),
    gauge(
      'modelgate_log_losing_lanes',
      'Lanes that serve on though their records cannot be written, because the mode is best-effort.',
      () => lanes.losing,
    ),
    gauge(
      'modelgate_log_backlog_bytes',
      'Journal bytes that are not yet in a synced segment.',
      () => counts().backlogBytes,
    ),
  ]
}

function gauge(name: string, help: string, value: () => number): Metric {
  return { name, type: 'gauge', labels: [], help, samples: () => [{ labels: [], value: value() }] }
}
