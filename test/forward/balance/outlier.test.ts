import t from 'tap'
import {
  FAILURES_MAX,
  FORGIVEN_AFTER_MS,
  GOOD_STANDING,
  isWelcome,
  OUT_MS,
  OUT_MS_MAX,
  type Standing,
  type StandingEvent,
  step,
  TRIAL_MS,
} from '../../../src/forward/balance/outlier.ts'

const NOW = 1_000_000
const IN: Standing = { is: 'in', failures: 2, times: 1, since: NOW - 1 }
const LAST: Standing = { is: 'in', failures: FAILURES_MAX - 1, times: 1, since: NOW - 1 }
const OUT: Standing = { is: 'out', until: NOW + 10, times: 1 }
const DUE: Standing = { is: 'out', until: NOW, times: 1 }
const TRIAL: Standing = { is: 'trial', until: NOW + TRIAL_MS, times: 1 }
const SILENT: Standing = { is: 'trial', until: NOW, times: 1 }
const BACK: Standing = { is: 'in', failures: 0, times: 1, since: NOW }
const AGAIN: Standing = { is: 'out', until: NOW + 2 * OUT_MS, times: 2 }

/** Every state × every event. */
const TABLE: readonly (readonly [Standing, StandingEvent, Standing])[] = [
  [IN, 'success', { ...IN, failures: 0 }],
  [IN, 'failure', { ...IN, failures: 3 }],
  [IN, 'neutral', IN],
  [IN, 'chosen', IN],
  [IN, 'recovered', BACK],
  [LAST, 'success', { ...LAST, failures: 0 }],
  [LAST, 'failure', AGAIN],
  [LAST, 'neutral', LAST],
  [LAST, 'chosen', LAST],
  [LAST, 'recovered', BACK],
  [OUT, 'success', BACK],
  [OUT, 'failure', OUT],
  [OUT, 'neutral', OUT],
  [OUT, 'chosen', OUT],
  [OUT, 'recovered', BACK],
  [DUE, 'success', BACK],
  [DUE, 'failure', DUE],
  [DUE, 'neutral', DUE],
  [DUE, 'chosen', TRIAL],
  [DUE, 'recovered', BACK],
  [TRIAL, 'success', BACK],
  [TRIAL, 'failure', AGAIN],
  [TRIAL, 'neutral', DUE],
  [TRIAL, 'chosen', TRIAL],
  [TRIAL, 'recovered', BACK],
  [SILENT, 'success', BACK],
  [SILENT, 'failure', AGAIN],
  [SILENT, 'neutral', DUE],
  [SILENT, 'chosen', TRIAL],
  [SILENT, 'recovered', BACK],
]

t.test('every state knows what every event means', async (t) => {
  for (const [before, event, after] of TABLE) {
    t.strictSame(step(before, event, NOW), after, `${JSON.stringify(before)} ${event}`)
  }
})

t.test(
  'who may be chosen: those that are in, and those whose time has come, until a trial has said nothing for long',
  async (t) => {
    t.same(
      [IN, OUT, DUE, TRIAL, SILENT].map((standing) => isWelcome(standing, NOW)),
      [true, false, true, false, true],
    )
  },
)

t.test('each time out is longer, up to a limit, and good standing makes up for it', async (t) => {
  const outOf = (standing: Standing, now: number): Standing => {
    let next = standing
    for (let failures = 0; failures < FAILURES_MAX; failures += 1) next = step(next, 'failure', now)
    return next
  }
  let now = NOW
  const lengths: number[] = []
  let standing: Standing = { ...GOOD_STANDING, since: now } as Standing
  for (let time = 0; time < 20; time += 1) {
    const out = outOf(standing, now)
    if (out.is !== 'out') throw new Error(JSON.stringify(out))
    lengths.push(out.until - now)
    now = out.until
    standing = step(step(out, 'chosen', now), 'success', now)
  }
  t.same(lengths.slice(0, 3), [OUT_MS, 2 * OUT_MS, 3 * OUT_MS])
  t.equal(lengths.at(-1), OUT_MS_MAX)
  const forgiven = outOf(standing, now + 100 * FORGIVEN_AFTER_MS)
  t.match(forgiven, { is: 'out', times: 1 })
})
