/** The values of one column, collected row by row, in the form that the Parquet writer takes. */
import type { ColumnType, ColumnValue } from './column.ts'

export type Values = (bigint | number | boolean | string | Uint8Array | null)[]

export class ColumnValues {
  readonly #type: ColumnType
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
    return values
  }

  #stored(value: Exclude<ColumnValue, null>): Values[number] {
    switch (this.#type) {
      case 'bigint':
      case 'time':
        return BigInt(wholeWithin(value, Number.MAX_SAFE_INTEGER))
      case 'integer':
        return wholeWithin(value, INT32_MAX)
      default:
        return value
    }
  }
}

const INT32_MAX = 2 ** 31 - 1

/** Records hold what clients and endpoints told: a number that fits nowhere must not end the indexing. */
function wholeWithin(value: unknown, max: number): number {
  const whole = Math.trunc(Number(value))
  return Number.isNaN(whole) ? 0 : Math.min(max, Math.max(-max, whole))
}
