/** The page at /metrics: what the table promises, in both formats, from one lane or several. */
import t from 'tap'
import { METRICS } from '../../src/observe/metric-table.ts'
import { prefersOpenMetrics } from '../../src/observe/metrics.ts'
import { Vitals } from '../../src/observe/vitals.ts'
import { LoadedChance } from '../support/loaded-chance.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { makeAttempt, makeExchange, makeLanes, parse, scrape } from './make-lanes.ts'

t.test('the page is the table: every metric, its type, its help, in both formats', async (t) => {
  const { observatory, lanes, snapshot } = makeLanes(1)
  lanes[0]!.observer.exchange(makeExchange(snapshot))
  const classic = await observatory.metrics('text/plain')
  t.equal(classic.contentType, 'text/plain; version=0.0.4; charset=utf-8')
  const { types, values } = parse(classic.text)
  for (const { name, type, help } of METRICS) {
    t.equal(types.get(name), type, name)
    t.ok(classic.text.includes(`# HELP ${name} ${help}\n`), `${name}: help`)
    t.match(name, type === 'counter' ? /^modelgate_[a-z_]+_total$/ : /^modelgate_[a-z_]+(?<!_total)$/)
    t.ok(
      [...values.keys()].some((key) => key.startsWith(name)),
      `${name}: has a sample before anything happened`,
    )
  }
  t.equal(values.get(`modelgate_config_info{hash="${snapshot.hash}"}`), 1)
  t.equal(values.get('modelgate_config_generation'), 3)
  t.ok((values.get('modelgate_process_resident_memory_bytes') ?? 0) > 1e6)

  const open = await observatory.metrics('application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3')
  t.equal(open.contentType, 'application/openmetrics-text; version=1.0.0; charset=utf-8')
  t.ok(open.text.endsWith('\n# EOF\n'))
  const parsed = parse(open.text)
  t.equal(parsed.types.get('modelgate_requests'), 'counter')
  t.equal(
    parsed.values.get('modelgate_requests_total{model="fraud",version="v1",reason="primary",class="2xx"}'),
    1,
  )

  const cases: readonly (readonly [string, boolean])[] = [
    ['', false],
    ['*/*', false],
    ['application/openmetrics-text', true],
    ['application/openmetrics-text;q=0', false],
    ['text/plain, application/openmetrics-text;q=0.5', false],
    ['Application/OpenMetrics-Text; version=1.0.0', true],
  ]
  for (const [accept, expected] of cases) t.equal(prefersOpenMetrics(accept), expected, `Accept: ${accept}`)
})

t.test('duration histograms are cumulative, end at +Inf and agree with their sum', async (t) => {
  const { observatory, lanes, snapshot } = makeLanes(1)
  for (let count = 1; count <= 50; count += 1) {
    lanes[0]!.observer.exchange(
      makeExchange(snapshot, { attempts: [makeAttempt('v1', { phases: { totalMs: count } })] }),
    )
  }
  const { values } = await scrape(observatory)
  const series = [...values].filter(
    ([name]) =>
      name.startsWith('modelgate_attempt_duration_seconds') &&
      name.includes('model="fraud",version="v1",role="primary"'),
  )
  const buckets = series.filter(([name]) => name.includes('_bucket'))
  t.same(
    buckets.map(([, value]) => value),
    [...buckets.map(([, value]) => value)].sort((a, b) => a - b),
  )
  t.equal(buckets.at(-1)?.[1], 50)
  t.equal(buckets.find(([name]) => name.includes('le="0.025"'))?.[1], 25)
  const sum = series.find(([name]) => name.includes('_sum'))![1]
  t.ok(Math.abs(sum - 1.275) < 0.002)
})

t.test(
  'what a lane counted stays counted when its thread has ended; what it had under way does not',
  async (t) => {
    const { observatory, lanes, snapshot } = makeLanes(2)
    const model = snapshot.models.get('fraud')!
    for (const { observer, limiter } of lanes) {
      observer.exchange(makeExchange(snapshot))
      observer.connection('opened')
      limiter.enter(model, { proceed() {} }, 0, Number.POSITIVE_INFINITY)
    }
    const before = (await scrape(observatory)).values
    observatory.retire(0)
    observatory.retire(0)
    const after = (await scrape(observatory)).values
    const gauges = [
      'modelgate_lanes',
      'modelgate_open_connections',
      'modelgate_requests_running{model="fraud"}',
    ]
    for (const name of gauges) t.same([before.get(name), after.get(name)], [2, 1], name)
    const changed = [...before].filter(([name, value]) => after.get(name) !== value && !gauges.includes(name))
    t.same(
      changed.filter(([name]) => !/^modelgate_(process|pressure_level)/.test(name)),
      [],
    )
    observatory.retire(1)
    const last = (await scrape(observatory)).values
    t.equal(last.get('modelgate_connections_total'), 2)
    t.equal(last.get('modelgate_request_duration_seconds_count{model="fraud"}'), 2, 'histograms, too')
    t.equal(last.get('modelgate_lanes'), 0)
  },
)

t.test('a lane of another configuration is left out, a restarted lane begins anew', async (t) => {
  const { observatory, lanes, snapshot } = makeLanes(1)
  lanes[0]!.observer.exchange(makeExchange(snapshot))
  observatory.take(7, { kind: 'slab', buffer: new SharedArrayBuffer(64) })
  t.equal((await scrape(observatory)).values.get('modelgate_lanes'), 1)
  const chance = new LoadedChance(0.5)
  new Vitals({ snapshot, chance, clock: new ManualClock(), announce: (one) => observatory.take(0, one) })
  t.equal(
    (await scrape(observatory)).values.get('modelgate_request_duration_seconds_count{model="fraud"}'),
    0,
  )
})
