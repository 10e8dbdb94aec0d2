/**
 * The time line of a report: a range cut into at most so many slots of one round width, each beginning at a multiple
 * of it in UTC, so that two reports of the same range have the same slots wherever and whenever they are made.
 */
const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

export const SLOTS_MAX = 60

const WIDTHS = [
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 4, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500].map((days) => days * DAY),
]

export interface Slots {
  readonly widthMs: number
  /** The first may begin before the range, the last end behind it. */
  readonly starts: readonly number[]
  /** `floor(time / widthMs)` of the first. */
  readonly base: number
}

/** `from` < `to`, Unix ms. */
export function slotsOf(from: number, to: number): Slots {
  const widthMs = WIDTHS.find((width) => countOf(from, to, width) <= SLOTS_MAX) ?? WIDTHS.at(-1)!
  const base = Math.floor(from / widthMs)
  const starts = Array.from({ length: countOf(from, to, widthMs) }, (_, at) => (base + at) * widthMs)
  return { widthMs, starts, base }
}

function countOf(from: number, to: number, widthMs: number): number {
  return Math.ceil(to / widthMs) - Math.floor(from / widthMs)
}
