/**
 * `route.canary`: keys whose point lies below the percent. The range grows from zero, so raising the
 * percent only moves keys into the canary and lowering it only moves keys out.
 */
import type { Strategy } from './strategy.ts'

export const canary: Strategy = {
  reason: 'canary',
  choose({ intent, pointOf }) {
    const running = intent.model.route.canary
    if (running === null) return null
    const point = pointOf('canary')
    if (point * 100 >= running.percent) return null
    return { version: running.version, role: 'canary', experiment: '', point }
  },
  passedOver: (version, { intent }) =>
    intent.model.route.canary?.version === version ? 'outside-percent' : null,
}
