/**
 * Values of the engine as plain data that JSON can hold: whole numbers as numbers while they are exact, else as text;
 * instants as ISO 8601 in UTC, dates, intervals and the like as text; lists and structs as arrays and objects.
 */
import type { DuckDBValueConverter } from '@duckdb/node-api'

export type Plain = null | boolean | number | string | readonly Plain[] | { readonly [name: string]: Plain }

/** For the engine’s `convertRows`. Types by their numbers: importing the enumeration would load the engine. */
export const plainValue: DuckDBValueConverter<Plain> = (value, type, again) => {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value === 'bigint') return exactly(value)
  if ('micros' in value && !('months' in value) && !('days' in value))
    return type.typeId === TIME ? value.toString() : instantOf(value.micros, value.toString())
  if ('millis' in value) return instantOf(value.millis * 1000n, value.toString())
  if ('seconds' in value) return instantOf(value.seconds * 1_000_000n, value.toString())
  if ('toDouble' in value) return value.toDouble()
  if ('items' in value && 'valueType' in type)
    return value.items.map((item) => again(item, type.valueType, again))
  if ('entries' in value && Array.isArray(value.entries) && 'keyType' in type)
    return value.entries.map((entry) => ({
      key: again(entry.key, type.keyType, again),
      value: again(entry.value, type.valueType, again),
    }))
  if ('entries' in value && 'entryNames' in type)
    return Object.fromEntries(
      type.entryNames.map((name, at) => [
        name,
        again((value.entries as Record<string, never>)[name]!, type.entryTypes[at]!, again),
      ]),
    )
  return value.toString()
}

const TIME = 14

function exactly(value: bigint): number | string {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : String(value)
}

/** `otherwise`: what the engine shows, for infinity and years that ISO 8601 has no form for. */
function instantOf(micros: bigint, otherwise: string): string {
  const ms = Number(micros / 1000n)
  const rest = Number(micros % 1000n)
  if (!(Math.abs(ms) <= DATE_MS_MAX)) return otherwise
  const text = new Date(ms).toISOString()
  return rest > 0 ? `${text.slice(0, -1)}${String(rest).padStart(3, '0')}Z` : text
}

const DATE_MS_MAX = 8.64e15
