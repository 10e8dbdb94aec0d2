/** When a request is late, as people write it: `p95`, a quantile of the time in which answers began lately, or `30ms`. */
import type { HedgeSettings } from '../../domain/routes.ts'
import type { Parsed } from './address.ts'
import { DURATION, durationMs, guessUnit } from './units.ts'

const PERCENTILE = /^p(50|75|9[0-9](?:\.[0-9]{1,2})?)$/
/** As long as the longest timeout. */
const AFTER_MS_MAX = 3_600_000

export function parseHedgeAfter(text: string): Parsed<HedgeSettings['after']> {
  const percent = PERCENTILE.exec(text)?.[1]
  if (percent !== undefined) {
    // Through text, so that 99.9 becomes 0.999 and not the number beside it.
    return { ok: true, value: { is: 'quantile', quantile: Number(`${percent}e-2`) } }
  }
  if (!DURATION.test(text)) return refuse('this is no percentile and no duration', guess(text))
  const ms = durationMs(text)
  if (ms < 1 || ms > AFTER_MS_MAX) return refuse('the duration is not from 1ms to 1h')
  return { ok: true, value: { is: 'fixed', ms } }
}

function guess(text: string): string | undefined {
  const digits = /^\s*p?\s*([0-9.]+)\s*%?\s*$/i.exec(text)?.[1]
  const percentile = `p${digits ?? ''}`
  return PERCENTILE.test(percentile) ? percentile : guessUnit(text, DURATION)
}

const refuse = (message: string, suggestion?: string): Parsed<never> => ({ ok: false, message, suggestion })
