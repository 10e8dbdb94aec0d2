/**
 * `route.canary`: keys whose point lies below the percent. The range grows from zero, so raising the
 * percent only moves keys into the canary and lowering it only moves keys out.
 */
import { ownStrategy } from './strategy.ts'

export const canary = ownStrategy({
  reason: 'canary',
  form: {
    about: 'A version on trial with a share of the traffic.',
    fields: {
      version: { kind: 'version', about: 'The version on trial.' },
      percent: { kind: 'percent', about: 'Share of the keys it gets.' },
    },
  },
  choose(settings, { pointOf }) {
    const point = pointOf('canary')
    if (point * 100 >= settings.percent) return null
    return { version: settings.version, role: 'canary', experiment: '', point }
  },
  passedOver: (version, settings) => (settings.version === version ? 'outside-percent' : null),
})
