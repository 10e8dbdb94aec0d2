/** Where things are on a chart: round numbers beside it, round times below it. */
import type { TimeAxis } from '../document.ts'

export interface Scale {
  readonly from: number
  readonly to: number
  readonly ticks: readonly number[]
}

/** What lies nearer to zero is drawn as zero. */
const LEAST_SPAN = 1e-9

/** From zero, or from below it, to a round number at or above `most`; about four steps. */
export function scaleOf(least: number, most: number): Scale {
  const high = Math.max(0, most)
  const low = Math.min(0, least)
  const span = high - low < LEAST_SPAN ? 1 : high - low
  const raw = span / 4
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 2.5, 5, 10].map((times) => times * power).find((one) => one >= raw) ?? raw
  const from = Math.floor(low / step) * step
  const to = Math.max(Math.ceil(high / step) * step, from + step)
  const ticks = Array.from({ length: Math.round((to - from) / step) + 1 }, (_, at) => from + at * step)
  return { from, to, ticks: ticks.map((tick) => (Math.abs(tick) < step / 1e6 ? 0 : tick)) }
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const STEPS = [
  ...[1, 5, 10, 30].map((seconds) => seconds * 1000),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 5, 10, 30, 60, 180, 365].map((days) => days * DAY),
]
const TIME_TICKS_MAX = 8

export interface TimeTick {
  readonly at: number
  readonly label: string
}

export function timeTicks({ from, to }: Pick<TimeAxis, 'from' | 'to'>): TimeTick[] {
  const step = STEPS.find((one) => (to - from) / one <= TIME_TICKS_MAX) ?? STEPS.at(-1)!
  const ticks: TimeTick[] = []
  for (let at = Math.ceil(from / step) * step; at <= to; at += step)
    ticks.push({ at, label: labelOf(at, step) })
  return ticks
}

/** `Mon 09 Nov`; the time of day where the step is shorter than a day. */
function labelOf(at: number, step: number): string {
  const date = new Date(at)
  if (step >= DAY || at % DAY === 0) return date.toUTCString().slice(0, 11).replace(',', '')
  return date.toISOString().slice(11, step < MINUTE ? 19 : 16)
}
