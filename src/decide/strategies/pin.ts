/** The caller's own choice, by path or `modelgate-pin`; identify/ has checked that it may choose. */
import type { Strategy } from './strategy.ts'

export const pin: Strategy = {
  reason: 'pin',
  overrides: true,
  form: null,
  choose({ intent }) {
    if (intent.pin === null) return null
    const isPrimary = intent.pin === intent.model.route.primary
    return { version: intent.pin, role: isPrimary ? 'primary' : 'canary', experiment: '', point: -1 }
  },
  passedOver: (_version, { intent }) => (intent.model.route.pinAllowed ? 'not-pinned' : null),
}
