/**
 * `route.experiment`: arms lie side by side on [0, 1) in written order; the sticky key's point picks
 * one. The salt is the experiment's name, so a new experiment deals the keys anew.
 */
import type { Strategy } from './strategy.ts'

export const experiment: Strategy = {
  reason: 'experiment',
  overrides: false,
  form: null,
  choose({ intent, pointOf }) {
    const running = intent.model.route.experiment
    if (running === null) return null
    const point = pointOf(`experiment:${running.name}`)
    let upTo = 0
    for (const arm of running.arms) {
      upTo += arm.percent
      if (point * 100 < upTo) return { version: arm.version, role: 'arm', experiment: running.name, point }
    }
    // Percents sum to 100; only rounding of their sum can leave the last sliver to nobody.
    const last = running.arms.at(-1)
    return last === undefined ? null : { version: last.version, role: 'arm', experiment: running.name, point }
  },
  passedOver(version, { intent }) {
    const arms = intent.model.route.experiment?.arms ?? []
    return arms.some((arm) => arm.version === version) ? 'other-arm' : null
  },
}
