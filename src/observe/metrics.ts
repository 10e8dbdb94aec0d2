/**
 * The page at /metrics, built when it is asked for: Prometheus text 0.0.4, or OpenMetrics 1.0 for who
 * prefers it. Only door to prom-client, which is a writer of text here: the counts stay in the lanes'
 * memory, so a request costs no metric library anything.
 *
 * Duration histograms have classic buckets computed from the HDR counts: a value is attributed to a
 * bucket by the middle of its HDR bucket, at most 0.05 % beside the truth.
 */
import { Counter, Gauge, type MetricObject, Registry, type RegistryContentType } from 'prom-client'
import type { Hdr } from './hdr.ts'
import type { Sample } from './metric-samples.ts'
import type { Metric } from './metric-table.ts'
import type { Reading } from './reading.ts'

export interface MetricsText {
  readonly contentType: string
  readonly text: string
}

/** Seconds. OpenTelemetry's advice for request durations, with finer steps where a gateway lives. */
export const BUCKETS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5,
  7.5, 10,
]
const BUCKETS_US = BUCKETS.map((seconds) => Math.round(seconds * 1e6))

export async function renderMetrics(
  metrics: readonly Metric[],
  reading: Reading,
  accept: string,
): Promise<MetricsText> {
  const contentType: RegistryContentType = prefersOpenMetrics(accept)
    ? Registry.OPENMETRICS_CONTENT_TYPE
    : Registry.PROMETHEUS_CONTENT_TYPE
  const registry = new Registry<RegistryContentType>()
  registry.setContentType(contentType)
  for (const metric of metrics) register(metric, reading, registry)
  return { contentType, text: await registry.metrics() }
}

function register(metric: Metric, reading: Reading, registry: Registry<RegistryContentType>): void {
  const { name, help, labels } = metric
  const traits = { name, help, labelNames: [...labels], registers: [registry] }
  switch (metric.type) {
    case 'counter':
      new Counter({
        ...traits,
        collect() {
          this.reset()
          for (const sample of metric.samples(reading)) this.inc(labelled(labels, sample), sample.value)
        },
      })
      return
    case 'gauge':
      new Gauge({
        ...traits,
        collect() {
          this.reset()
          for (const sample of metric.samples(reading)) this.set(labelled(labels, sample), sample.value)
        },
      })
      return
    case 'histogram':
      registry.registerMetric(new DurationMetric(metric, reading) as unknown as Counter)
  }
}

function labelled(names: readonly string[], { labels }: Sample<unknown>): Record<string, string> {
  return Object.fromEntries(names.map((name, index) => [name, labels[index]!]))
}

/** prom-client's own Histogram can only observe values one by one; this one already has its counts. */
class DurationMetric {
  readonly name: string
  readonly help: string
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly #metric: Extract<Metric, { type: 'histogram' }>
  readonly #reading: Reading

  constructor(metric: Extract<Metric, { type: 'histogram' }>, reading: Reading) {
    this.name = metric.name
    this.help = metric.help
    this.#metric = metric
    this.#reading = reading
  }

  async get(): Promise<MetricObject & { values: readonly DurationValue[] }> {
    const { name, help, aggregator } = this
    const values = [...this.#metric.samples(this.#reading)].flatMap((sample) =>
      valuesOf(name, labelled(this.#metric.labels, sample), sample.value),
    )
    return {
      name,
      help,
      aggregator,
      collect: () => {},
      type: this.type as unknown as MetricObject['type'],
      values,
    }
  }
}

interface DurationValue {
  readonly metricName: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

function valuesOf(name: string, labels: Record<string, string>, hdr: Hdr): DurationValue[] {
  const cumulative = hdr.cumulative(BUCKETS_US)
  const buckets = BUCKETS.map((bound, index) => ({
    metricName: `${name}_bucket`,
    labels: { le: bound, ...labels },
    value: cumulative[index]!,
  }))
  return [
    ...buckets,
    { metricName: `${name}_bucket`, labels: { le: '+Inf', ...labels }, value: hdr.count },
    { metricName: `${name}_sum`, labels, value: hdr.sumUs / 1e6 },
    { metricName: `${name}_count`, labels, value: hdr.count },
  ]
}

/** RFC 9110 §12.5.1, as far as two types need it: OpenMetrics when it is named with a higher weight. */
export function prefersOpenMetrics(accept: string): boolean {
  const weightOf = (type: string): number => {
    for (const range of accept.toLowerCase().split(',')) {
      const [name, ...parameters] = range.split(';').map((part) => part.trim())
      if (name !== type) continue
      const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
      return weight === undefined ? 1 : Number(weight) || 0
    }
    return 0
  }
  const open = weightOf('application/openmetrics-text')
  return open > 0 && open >= weightOf('text/plain')
}
