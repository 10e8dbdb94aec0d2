/** What the log counts of itself, as metrics read at scrape from shared memory. */
import type { AuditCounts } from '../audit/open-audit.ts'
import type { Metric } from '../observe/metric-table.ts'

type Count = keyof AuditCounts

const COUNTERS: readonly (readonly [name: string, count: Count, help: string])[] = [
  ['modelgate_log_records_written_total', 'written', 'Records written to the lanes’ journals.'],
  ['modelgate_log_records_sequenced_total', 'sequenced', 'Records that have their place in the log.'],
  ['modelgate_log_records_lost_total', 'lost', 'Records that could not be written; the log counts them too.'],
  ['modelgate_log_digests_lost_total', 'digestsLost', 'Keyed digests that could not be computed.'],
]

/** `lanesWithout`: how many lanes cannot write records at present. */
export function logMetrics(counts: () => AuditCounts, lanesWithout: () => number): readonly Metric[] {
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
      name: 'modelgate_log_unavailable_lanes',
      type: 'gauge',
      labels: [],
      help: 'Lanes that answer 503 because their records cannot be written.',
      samples: () => [{ labels: [], value: lanesWithout() }],
    },
    {
      name: 'modelgate_log_backlog_bytes',
      type: 'gauge',
      labels: [],
      help: 'Journal bytes that are not yet in a synced segment.',
      samples: () => [{ labels: [], value: counts().backlogBytes }],
    },
  ]
}
