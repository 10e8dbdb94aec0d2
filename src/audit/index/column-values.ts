/**
 * The values of one column, collected row by row, in the form that the Parquet writer takes. Texts that repeat are kept
 * once: records of one model share nearly all of theirs, and the writer finds a text it has met at once.
 */
import type { ColumnType, ColumnValue } from './column.ts'

/** Different texts of a column that are looked for; one with more is not worth it. */
const TEXTS_MAX = 4096

export type Values = (bigint | number | boolean | string | Uint8Array | null)[]

export class ColumnValues {
  readonly #type: ColumnType
  readonly #texts = new Map<string, string>()
  #values: Values = []

  constructor(type: ColumnType) {
    this.#type = type
  }

  add(value: ColumnValue): void {
    this.#values.push(value === null ? null : this.#stored(value))
  }

  /** All that were added since the last time. */
  take(): Values {
    const values = this.#values
    this.#values = []
    this.#texts.clear()
    return values
  }

  #stored(value: Exclude<ColumnValue, null>): Values[number] {
    const type = this.#type
    if (type === 'text') return this.#shared(String(value))
    if (type === 'bigint' || type === 'time') return BigInt(wholeWithin(value, Number.MAX_SAFE_INTEGER))
    return type === 'integer' ? wholeWithin(value, INT32_MAX) : value
  }

  #shared(text: string): string {
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    if (this.#texts.size < TEXTS_MAX) this.#texts.set(text, text)
    return text
  }
}

const INT32_MAX = 2 ** 31 - 1

/** Records hold what clients and endpoints told: a number that fits nowhere must not end the indexing. */
function wholeWithin(value: unknown, max: number): number {
  const whole = Math.trunc(Number(value))
  return Number.isNaN(whole) ? 0 : Math.min(max, Math.max(-max, whole))
}
