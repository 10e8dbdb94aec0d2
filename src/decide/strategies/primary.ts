/** `route.primary`: what serves when nothing else chose. Always chooses, so it ends the list. */
import type { Strategy } from './strategy.ts'

export const primary: Strategy = {
  reason: 'primary',
  overrides: false,
  form: null,
  choose({ intent, pointOf }) {
    const { route } = intent.model
    const point = route.own.has('canary') ? pointOf('canary') : -1
    return { version: route.primary, role: 'primary', experiment: '', point }
  },
  passedOver: (version, { intent }) => (intent.model.route.primary === version ? 'lower-precedence' : null),
}
