/** Numbers and times as the report's sentences, tables and charts write them: one way each, whatever the machine's language. */
import type { Estimate } from './report.ts'

const MINUS = '−'

/** `84,120` */
export function count(value: number): string {
  return withSign(value, String(Math.round(Math.abs(value))).replace(/\B(?=(\d{3})+$)/g, ','))
}

/** `1 request`, `84,120 requests` */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`
}

/** `12.3 %`, `0.042 %`: three digits at most, and never 0 for what is not. */
export function percent(share: number): string {
  const value = 100 * share
  if (value === 0 || !Number.isFinite(value)) return value === 0 ? '0 %' : '–'
  const size = Math.abs(value)
  if (size < 0.001) return '< 0.001 %'
  const digits = size >= 99.95 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3
  return `${withSign(value, trimmed(size.toFixed(digits)))} %`
}

/** With the unit: `−8,213.40 EUR`; plain numbers with three significant digits. */
export function amount(value: number, unit: string): string {
  const size = Math.abs(value)
  const isMoney = /^[A-Z]{3}$/.test(unit)
  if (isMoney && (size >= 0.1 || size === 0)) return `${withSign(value, grouped(size.toFixed(2)))} ${unit}`
  const plain = size >= 1000 ? grouped(size.toFixed(0)) : trimmed(size.toPrecision(3))
  return `${withSign(value, plain)}${unit === '' ? '' : ` ${unit}`}`
}

export function milliseconds(ms: number): string {
  if (ms >= 10_000) return `${trimmed((ms / 1000).toFixed(1))} s`
  return `${ms >= 100 ? count(ms) : trimmed(ms.toPrecision(3))} ms`
}

/** `3 d 4 h`, `2 min 5 s`, `840 ms`: the two largest units. */
export function lasted(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  let rest = Math.round(ms / 1000)
  const parts: string[] = []
  for (const [unit, seconds] of [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ] as const) {
    const whole = Math.floor(rest / seconds)
    rest -= whole * seconds
    if (whole > 0) parts.push(`${whole} ${unit}`)
  }
  return parts.slice(0, 2).join(' ')
}

/** `2026-11-11 09:00`; with seconds where they are not zero. All times are UTC, which is said once. */
export function minute(iso: string): string {
  const text = iso.slice(0, 19).replace('T', ' ')
  return text.endsWith(':00') ? text.slice(0, 16) : text
}

/** `8.1 % (7.6 to 8.6 %)`: by what `write` makes of each number, the unit of the range told once. */
export function estimated(estimate: Estimate | null, write: (value: number) => string): string {
  if (estimate === null) return '–'
  const { value, low, high } = estimate
  if (low === null || high === null) return `${write(value)} (too few for a range)`
  return `${write(value)} (${ranged(low, high, write)})`
}

export function ranged(low: number, high: number, write: (value: number) => string): string {
  const [first, last] = [write(low), write(high)]
  const unit = last.slice(last.lastIndexOf(' '))
  return unit.length > 1 && first.endsWith(unit)
    ? `${first.slice(0, -unit.length)} to ${last}`
    : `${first} to ${last}`
}

/** A configuration by the first digits of its hash. */
export function shortHash(hash: string): string {
  return hash === '' ? '(none)' : hash.slice(0, 12)
}

function withSign(value: number, text: string): string {
  return value < 0 && /[1-9]/.test(text) ? `${MINUS}${text}` : text
}

/** Of a decimal without sign. */
function grouped(text: string): string {
  const [whole = '', fraction] = text.split('.')
  const groups = whole.replace(/\B(?=(\d{3})+$)/g, ',')
  return fraction === undefined ? groups : `${groups}.${fraction}`
}

/** Without zeros at the end of a fraction, and without an exponent. */
function trimmed(text: string): string {
  const plain = text.includes('e') ? String(Number(text)) : text
  return plain.includes('.') ? plain.replace(/\.?0+$/, '') : plain
}
