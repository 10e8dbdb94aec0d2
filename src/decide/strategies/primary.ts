/** `route.primary`: what serves when nothing else chose. Always chooses, so it ends the list. */
import type { Strategy } from './strategy.ts'

export const primary: Strategy = {
  reason: 'primary',
  choose({ intent, pointOf }) {
    const { route } = intent.model
    const point = route.canary === null ? -1 : pointOf('canary')
    return { version: route.primary, role: 'primary', experiment: '', point }
  },
  passedOver: (version, { intent }) => (intent.model.route.primary === version ? 'lower-precedence' : null),
}
