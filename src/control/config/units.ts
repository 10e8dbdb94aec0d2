/**
 * Durations and sizes as people write them: a whole number and its unit, `250ms`, `16KiB`. Anything
 * else is refused, with a guess at what was meant. Inside the gateway there are only ms and bytes.
 */
const MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

const BYTES: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
  ['GiB', 1024 ** 3],
])

export const DURATION = /^([0-9]{1,12})(ms|s|m|h|d)$/
export const SIZE = /^([0-9]{1,12})(B|KiB|MiB|GiB)$/

/** `text` must match DURATION. */
export function durationMs(text: string): number {
  return amount(DURATION, MS, text)
}

/** `text` must match SIZE. */
export function sizeBytes(text: string): number {
  return amount(SIZE, BYTES, text)
}

function amount(grammar: RegExp, units: ReadonlyMap<string, number>, text: string): number {
  const match = grammar.exec(text)
  return match === null ? Number.NaN : Number(match[1]) * units.get(match[2]!)!
}

/** In the largest unit that stays whole: 60000 → `1m`. */
export function durationText(ms: number): string {
  return inUnits(ms, [...MS].reverse(), 'ms')
}

export function sizeText(bytes: number): string {
  return inUnits(bytes, [...BYTES].reverse(), 'B')
}

function inUnits(value: number, units: readonly (readonly [string, number])[], smallest: string): string {
  for (const [unit, factor] of units) {
    if (value > 0 && value % factor === 0) return `${value / factor}${unit}`
  }
  return `${value}${smallest}`
}

const MEANT: ReadonlyMap<string, string> = new Map([
  ['ms', 'ms'],
  ['msec', 'ms'],
  ['millis', 'ms'],
  ['millisecond', 'ms'],
  ['milliseconds', 'ms'],
  ['s', 's'],
  ['sec', 's'],
  ['secs', 's'],
  ['second', 's'],
  ['seconds', 's'],
  ['m', 'm'],
  ['min', 'm'],
  ['mins', 'm'],
  ['minute', 'm'],
  ['minutes', 'm'],
  ['h', 'h'],
  ['hr', 'h'],
  ['hour', 'h'],
  ['hours', 'h'],
  ['d', 'd'],
  ['day', 'd'],
  ['days', 'd'],
  ['b', 'B'],
  ['bytes', 'B'],
  ['k', 'KiB'],
  ['kb', 'KiB'],
  ['kib', 'KiB'],
  ['mb', 'MiB'],
  ['mib', 'MiB'],
  ['g', 'GiB'],
  ['gb', 'GiB'],
  ['gib', 'GiB'],
])

/** What `text` probably meant, as a duration or a size; undefined when there is no telling. */
export function guessUnit(text: string, grammar: RegExp): string | undefined {
  const match = /^\s*([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([A-Za-z]+)\s*$/.exec(text)
  if (match === null) return undefined
  const unit = match[2]!.toLowerCase()
  const meant = grammar === SIZE && unit === 'm' ? 'MiB' : MEANT.get(unit)
  if (meant === undefined) return undefined
  const units = grammar === SIZE ? BYTES : MS
  const whole = Number(match[1]) * (units.get(meant) ?? Number.NaN)
  if (!Number.isInteger(whole)) return undefined
  return grammar === SIZE ? sizeText(whole) : durationText(whole)
}
