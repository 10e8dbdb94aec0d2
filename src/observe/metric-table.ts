/**
 * Every metric of the gateway: name, type, labels, help, and where its samples come from. The page at
 * /metrics and the documentation are both made from this table.
 *
 * Base units, `_total` for counters. Label values come from the configuration and from closed lists
 * only: what callers send can never become one, so the number of series is fixed by the configuration.
 */
import { CALLER_METRICS } from './caller-metrics.ts'
import type { Hdr } from './hdr.ts'
import {
  attempts,
  breakerStates,
  durations,
  faults,
  hedgeDelays,
  ofModels,
  ofServing,
  ofShadows,
  ofVersions,
  requestDurations,
  requests,
  type Sample,
} from './metric-samples.ts'
import type { Reading } from './reading.ts'
import {
  AGREEMENTS,
  CONSEQUENCE_ACTIONS,
  CONSEQUENCE_CLASSES,
  FINISH_REASONS,
  HEDGE_OUTCOMES,
  type LaneCount,
  RETRY_WORDS,
  SHADOW_FATES,
  STREAM_FATES,
  TOKEN_KINDS,
} from './slab-layout.ts'

interface MetricTraits {
  readonly name: string
  readonly labels: readonly string[]
  /** One line, for the page and the documentation. */
  readonly help: string
}

export type Metric =
  | (MetricTraits & {
      readonly type: 'counter' | 'gauge'
      readonly samples: (reading: Reading) => Iterable<Sample<number>>
    })
  | (MetricTraits & {
      readonly type: 'histogram'
      readonly samples: (reading: Reading) => Iterable<Sample<Hdr>>
    })

export const METRICS: readonly Metric[] = [
  {
    name: 'modelgate_config_info',
    type: 'gauge',
    labels: ['hash'],
    help: 'Always 1; the label is the hash of the configuration in force.',
    samples: ({ snapshot }) => [{ labels: [snapshot.hash], value: 1 }],
  },
  {
    name: 'modelgate_config_generation',
    type: 'gauge',
    labels: [],
    help: 'Generation of the configuration in force: 1 at start, +1 with each change.',
    samples: ({ snapshot }) => [{ labels: [], value: snapshot.generation }],
  },
  {
    name: 'modelgate_lanes',
    type: 'gauge',
    labels: [],
    help: 'Data-plane threads whose counts are in these numbers.',
    samples: ({ laneCount }) => [{ labels: [], value: laneCount }],
  },
  {
    name: 'modelgate_requests_total',
    type: 'counter',
    labels: ['model', 'version', 'reason', 'class'],
    help: 'Requests finished, by the version that answered ((none): none did), why it was chosen, and status class. Refusals and callers that left included, shadows not.',
    samples: requests,
  },
  {
    name: 'modelgate_faults_total',
    type: 'counter',
    labels: ['model', 'code'],
    help: 'Requests that met a fault, by its code (the modelgate-error header), answered by a consequence or not.',
    samples: faults,
  },
  {
    name: 'modelgate_attempts_total',
    type: 'counter',
    labels: ['model', 'version', 'role', 'verdict'],
    help: 'Attempts at a version, shadows included, by how its breaker counts them; refused: the breaker did not let it begin.',
    samples: attempts,
  },
  {
    name: 'modelgate_consequences_total',
    type: 'counter',
    labels: ['model', 'class', 'action'],
    help: 'Requests whose version could not answer, by kind of failure and what the caller got: another version, a fixed reply, or the failure.',
    samples: (reading) =>
      reading.models.flatMap(({ index, name }) =>
        CONSEQUENCE_CLASSES.flatMap((of, ofNumber) =>
          CONSEQUENCE_ACTIONS.map((action, number) => ({
            labels: [name, of, action],
            value: reading.sum(reading.layout.consequenceAt(index, ofNumber, number)),
          })),
        ),
      ),
  },
  {
    name: 'modelgate_shadows_total',
    type: 'counter',
    labels: ['model', 'version', 'fate'],
    help: 'Shadow copies by what became of them; each request of a model with shadows is counted once for each of its shadows.',
    samples: (reading) =>
      ofShadows(reading, SHADOW_FATES, (version, number) => reading.layout.shadowAt(version, number)),
  },
  {
    name: 'modelgate_shadow_agreements_total',
    type: 'counter',
    labels: ['model', 'version', 'agreement'],
    help: 'Shadow copies by how their answer compares with the one the caller got.',
    samples: (reading) =>
      ofShadows(reading, AGREEMENTS, (version, number) => reading.layout.agreementAt(version, number)),
  },
  {
    name: 'modelgate_retries_total',
    type: 'counter',
    labels: ['model', 'result'],
    help: 'Failed attempts that were tried again (sent), or would have been, had retry.budget allowed it (over-budget).',
    samples: (reading) =>
      reading.models.flatMap(({ index, name }) =>
        RETRY_WORDS.map((word) => ({
          labels: [name, word],
          value: reading.sum(reading.layout.retryAt(index, word)),
        })),
      ),
  },
  ...CALLER_METRICS,
  {
    name: 'modelgate_hedges_total',
    type: 'counter',
    labels: ['model', 'version', 'outcome'],
    help: 'Second copies of late requests: the caller got their answer (won), that of the first copy (lost), or neither’s (failed); over-budget: retry.hedge_budget did not allow one.',
    samples: (reading) =>
      ofServing(reading, HEDGE_OUTCOMES, ({ index }, outcome) => reading.layout.hedgeAt(index, outcome)),
  },
  {
    name: 'modelgate_hedge_after_seconds',
    type: 'gauge',
    labels: ['model', 'version'],
    help: 'After how long a second copy is sent beside a late request, in the lane that waits longest; 0: nothing is hedged, or too little is known yet.',
    samples: hedgeDelays,
  },
  {
    name: 'modelgate_endpoint_ejections_total',
    type: 'counter',
    labels: ['model', 'version'],
    help: 'How often an endpoint was put out for failing.',
    samples: (reading) => ofVersions(reading, ({ index }) => reading.layout.endpointAt(index, 'ejections')),
  },
  {
    name: 'modelgate_streams_open',
    type: 'gauge',
    labels: ['model', 'version'],
    help: 'Answers that are being passed on to their callers as they come.',
    samples: (reading) => ofVersions(reading, ({ index }) => reading.layout.streamAt(index, 'open')),
  },
  {
    name: 'modelgate_streams_total',
    type: 'counter',
    labels: ['model', 'version', 'fate'],
    help: 'Answers that were passed on as they came, by how they ended: complete, broken (the caller’s message was cut short), client-gone.',
    samples: (reading) =>
      ofServing(reading, STREAM_FATES, ({ index }, fate) => reading.layout.streamAt(index, fate)),
  },
  {
    name: 'modelgate_tokens_total',
    type: 'counter',
    labels: ['model', 'version', 'kind'],
    help: 'Tokens as the endpoint counted them, of the answers that callers got; answers that do not tell add nothing.',
    samples: (reading) =>
      ofServing(reading, TOKEN_KINDS, ({ index }, kind) => reading.layout.tokensAt(index, kind)),
  },
  {
    name: 'modelgate_finish_reasons_total',
    type: 'counter',
    labels: ['model', 'version', 'reason'],
    help: 'Answers that callers got, by why the model stopped, where it said so; other: none of those known.',
    samples: (reading) =>
      ofServing(reading, FINISH_REASONS, ({ index }, _, number) => reading.layout.finishAt(index, number)),
  },
  {
    name: 'modelgate_breaker_state',
    type: 'gauge',
    labels: ['model', 'version', 'state'],
    help: '1 for the state that the version’s breaker is in, over all lanes, 0 for the others; closed lets traffic through.',
    samples: breakerStates,
  },
  {
    name: 'modelgate_breaker_opens_total',
    type: 'counter',
    labels: ['model', 'version'],
    help: 'How often the version’s breaker opened, over all lanes.',
    samples: (reading) => ofVersions(reading, ({ index }) => reading.layout.breakerAt(index, 'opens')),
  },
  {
    name: 'modelgate_breaker_refusals_total',
    type: 'counter',
    labels: ['model', 'version'],
    help: 'Attempts that the version’s breaker refused, or would have with enforce = false.',
    samples: (reading) => ofVersions(reading, ({ index }) => reading.layout.breakerAt(index, 'refusals')),
  },
  {
    name: 'modelgate_requests_running',
    type: 'gauge',
    labels: ['model'],
    help: 'Requests that hold a place of limits.concurrent.',
    samples: (reading) => ofModels(reading, ({ index }) => reading.layout.loadAt(index, 'running')),
  },
  {
    name: 'modelgate_requests_queued',
    type: 'gauge',
    labels: ['model'],
    help: 'Requests that wait for a place.',
    samples: (reading) => ofModels(reading, ({ index }) => reading.layout.loadAt(index, 'queued')),
  },
  {
    name: 'modelgate_pressure_level',
    type: 'gauge',
    labels: ['lane'],
    help: 'How short of time and memory a lane is: 0 not; from 1 on no shadow copies are sent, from 2 on nobody waits for a place and models of low priority are refused, at 3 all new requests are.',
    samples: (reading) =>
      Array.from(reading.perLane(reading.layout.laneAt('pressure')), ([lane, value]) => ({
        labels: [String(lane)],
        value,
      })),
  },
  {
    name: 'modelgate_request_duration_seconds',
    type: 'histogram',
    labels: ['model'],
    help: 'From receipt of a request’s head to its answer ready to leave.',
    samples: requestDurations,
  },
  {
    name: 'modelgate_attempt_duration_seconds',
    type: 'histogram',
    labels: ['model', 'version', 'role'],
    help: 'One attempt at a version, as the gateway sees it: connect to last byte, or submit to result.',
    samples: (reading) => durations(reading, 'total'),
  },
  {
    name: 'modelgate_overhead_duration_seconds',
    type: 'histogram',
    labels: ['model', 'version', 'role'],
    help: 'What the gateway added: a request’s whole time without the time in which an attempt was under way. A wait for a place is in it.',
    samples: (reading) => durations(reading, 'overhead'),
  },
  laneMetric('connectionsOpen', 'gauge', 'modelgate_open_connections', 'Client connections open now.'),
  laneMetric(
    'connectionsAccepted',
    'counter',
    'modelgate_connections_total',
    'Client connections accepted since the start.',
  ),
  laneMetric(
    'connectionsRefused',
    'counter',
    'modelgate_connections_refused_total',
    'Client connections turned away because of server.limits.connections.',
  ),
  laneMetric(
    'connectionsUnused',
    'counter',
    'modelgate_connections_unused_total',
    'Client connections that ended without a request that could be recorded: port probes, heads that never ended, failed TLS handshakes, and first requests that the HTTP server refused by itself.',
  ),
  laneMetric(
    'bytesIn',
    'counter',
    'modelgate_request_body_bytes_total',
    'Bytes of request bodies received, without framing.',
  ),
  laneMetric(
    'bytesOut',
    'counter',
    'modelgate_answer_body_bytes_total',
    'Bytes of answer bodies from versions and fixed replies, without framing.',
  ),
  laneMetric(
    'serverQuestions',
    'counter',
    'modelgate_server_questions_total',
    'Questions about the gateway itself (live, ready, metadata); they leave no record.',
  ),
  laneMetric(
    'histogramsRefused',
    'counter',
    'modelgate_histogram_drops_total',
    'Durations not kept because a lane had its maximum of histograms.',
  ),
]

function laneMetric(count: LaneCount, type: 'counter' | 'gauge', name: string, help: string): Metric {
  const samples = (reading: Reading) => [{ labels: [], value: reading.sum(reading.layout.laneAt(count)) }]
  return { name, type, labels: [], help, samples }
}
