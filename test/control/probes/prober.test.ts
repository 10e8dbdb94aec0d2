/** When endpoints are asked: spread, one question at a time each, so many at once in all, and not any more after the end. */
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { ProbeAnswer } from '../../../src/control/probes/probe.ts'
import { AT_ONCE, Prober, type ProbeTarget, probeTargets } from '../../../src/control/probes/prober.ts'
import type { HealthSettings, RemoteVersion } from '../../../src/domain/routes.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { endpointAt } from '../../support/endpoint-at.ts'
import { eventually } from '../../support/eventually.ts'
import { LoadedChance } from '../../support/loaded-chance.ts'
import { makeLocalVersion, makeRemoteVersion } from '../../support/make-model.ts'

const HEALTH: HealthSettings = {
  path: '/ready',
  intervalMs: 100,
  timeoutMs: 50,
  healthy: 2,
  unhealthy: 2,
  expect: [],
}
const GOOD: ProbeAnswer = { verdict: 'passed', detail: 'answered 200' }
const BAD: ProbeAnswer = { verdict: 'failed', detail: 'answered 503' }
const UNASKED: ProbeAnswer = { verdict: 'neutral', detail: 'connect EMFILE' }

function versionAt(index: number, firstEndpoint: number, more: Partial<RemoteVersion> = {}): RemoteVersion {
  return { ...makeRemoteVersion(80), index, name: `v${index}`, firstEndpoint, health: HEALTH, ...more }
}

function targetsOf(count: number): readonly ProbeTarget[] {
  const endpoints = Array.from({ length: count }, (_, index) => endpointAt(`h${index}`, 80))
  return probeTargets({ versions: [versionAt(0, 0, { endpoints })] })
}

interface Question {
  readonly host: string
  readonly at: number
  answer(answer: ProbeAnswer): void
}

function started(t: Test, targets: readonly ProbeTarget[], ...chances: readonly number[]) {
  const questions: Question[] = []
  const changes: string[] = []
  const cancelled: string[] = []
  const prober = new Prober({
    targets,
    atOnce: AT_ONCE,
    clock: systemClock,
    chance: new LoadedChance(...(chances.length === 0 ? [0] : chances)),
    askOf:
      ({ endpoint: { host } }) =>
      (done) => {
        questions.push({ host, at: systemClock.now(), answer: done })
        return () => void cancelled.push(host)
      },
    onChange: ({ target, health, last }, from) =>
      changes.push(`${target.endpoint.host}: ${from} → ${health.is} (${last?.detail})`),
  })
  prober.start()
  t.teardown(() => prober.stop())
  return { prober, questions, changes, cancelled }
}

t.test('equal endpoints with equal settings are asked once; others, and local versions, not', async (t) => {
  const [a, b] = [endpointAt('a', 80), endpointAt('b', 80)]
  const versions = [
    versionAt(0, 0, { endpoints: [a, b] }),
    versionAt(1, 2, { endpoints: [b] }),
    versionAt(2, 3, { endpoints: [b], health: { ...HEALTH, path: '/other' } }),
    versionAt(3, 4, { endpoints: [a], health: null }),
    versionAt(4, 5, { endpoints: [endpointAt('a', 80, { denyPrivate: true })] }),
    makeLocalVersion('m', 'local', 5),
  ]
  const targets = probeTargets({ versions })
  t.same(
    targets.map(({ endpoint, settings, places }) => [
      endpoint.host,
      settings.path,
      places.map(({ version, endpoint }) => [version.name, endpoint]),
    ]),
    [
      ['a', '/ready', [['v0', 0]]],
      [
        'b',
        '/ready',
        [
          ['v0', 1],
          ['v1', 2],
        ],
      ],
      ['b', '/other', [['v2', 3]]],
      ['a', '/ready', [['v4', 5]]],
    ],
  )
})

t.test('first questions are spread by chance, and pauses are the interval less a little', async (t) => {
  const { questions } = started(t, targetsOf(3), 0, 0.5, 0.99)
  const beganAt = systemClock.now()
  await eventually(() => questions.length === 3, { until: 'all three were asked' })
  t.same(
    questions.map(({ host }) => host),
    ['h0', 'h1', 'h2'],
  )
  t.ok(questions[2]!.at - beganAt >= 0.9 * HEALTH.intervalMs, `${questions[2]!.at - beganAt} ms`)
  // The next chance is 0 again: the pause is the whole interval.
  questions[0]!.answer(GOOD)
  await eventually(() => questions.length === 4, { until: 'the first was asked again' })
  const everyMs = questions[3]!.at - questions[0]!.at
  t.equal(questions[3]!.host, 'h0')
  t.ok(everyMs >= HEALTH.intervalMs - 2, `from one question to the next ${everyMs} ms`)
})

t.test('an endpoint is asked again only when it has answered', async (t) => {
  const { questions } = started(t, targetsOf(1))
  await eventually(() => questions.length === 1)
  await pause(3 * HEALTH.intervalMs)
  t.equal(questions.length, 1)
  questions[0]!.answer(BAD)
  await eventually(() => questions.length === 2, { until: 'it is asked again' })
})

t.test(
  'changes are told once, with what changed them; a question that could not be asked changes nothing',
  async (t) => {
    const { questions, changes, prober } = started(t, targetsOf(1))
    const answers = [UNASKED, GOOD, BAD, GOOD, BAD, UNASKED, BAD, BAD, GOOD, UNASKED, GOOD, GOOD]
    for (const [index, answer] of answers.entries()) {
      await eventually(() => questions.length === index + 1, { until: `question ${index + 1}` })
      questions[index]!.answer(answer)
    }
    t.same(changes, [
      'h0: unknown → healthy (answered 200)',
      'h0: healthy → unhealthy (answered 503)',
      'h0: unhealthy → healthy (answered 200)',
    ])
    t.match(prober.probed[0], {
      health: { is: 'healthy' },
      passed: 5,
      failed: 4,
      neutral: 3,
      last: { verdict: 'passed' },
    })
  },
)

t.test('so many are asked at once; whoever is due beyond that waits for an answer', async (t) => {
  const { questions } = started(t, targetsOf(AT_ONCE + 2))
  await eventually(() => questions.length >= AT_ONCE, { until: 'as many were asked as may be' })
  await pause(50)
  t.equal(questions.length, AT_ONCE)
  for (const { answer } of questions.slice(0, 2)) answer(GOOD)
  t.equal(questions.length, AT_ONCE + 2)
  t.equal(new Set(questions.map(({ host }) => host)).size, AT_ONCE + 2)
})

t.test('after the end nothing is asked, and what was under way is given up', async (t) => {
  const { questions, cancelled, prober } = started(t, targetsOf(2), 0, 0.9)
  await eventually(() => questions.length === 1)
  prober.stop()
  t.same(cancelled, ['h0'])
  await pause(2 * HEALTH.intervalMs)
  t.equal(questions.length, 1)
})
