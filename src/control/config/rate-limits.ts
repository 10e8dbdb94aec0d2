/** Rate limits as they are written to those that are in force: named, numbered, nothing left out. */
import type { RateLimit } from '../../domain/routes.ts'
import type { Checked } from './schema.ts'
import { durationText } from './units.ts'

type Rate = Checked['server']['limits']['rate'][number]

export interface SettledRate extends Rate {
  readonly burst: number
  readonly name: string
}

export function rateName({ name, requests, per }: Pick<Rate, 'name' | 'requests' | 'per'>): string {
  return name ?? `${requests}-per-${durationText(per)}`
}

export function settleRates(rates: readonly Rate[]): SettledRate[] {
  return rates.map((rate) => ({ ...rate, burst: rate.burst ?? rate.requests, name: rateName(rate) }))
}

/** `all` grows by them: their place in it is their index. */
export function compileRates(rates: readonly SettledRate[], all: RateLimit[]): readonly RateLimit[] {
  return rates.map(({ name, requests, per: perMs, burst, by }) => {
    const limit: RateLimit = { index: all.length, name, requests, perMs, burst, by }
    all.push(limit)
    return limit
  })
}
