/**
 * Sorts the payloads of one block into columns; `ColumnJoiner` puts them back together, byte for byte. A decision's
 * eighty values compress to 91 bytes when they stand record by record, and to 76 when the n-th values of all records
 * stand together (varied decisions with three digests, brotli quality 5, blocks of 256 KiB): most bytes went into saying
 * where the next repetition is, not into what is new.
 *
 * Records of one type with as many tokens are a group, and the n-th tokens of a group are a column. What is the same
 * in all of a group's records is kept once. Nothing is understood but the lengths of msgpack values; a payload that is
 * not exactly one value, or that has too little company, is kept as it is. Layout in SPEC.md, "Sealed segments".
 */
import { assert } from '../../kernel/assert.ts'
import {
  BODY_BYTES,
  COUNTS,
  COUNTS_BYTES,
  COUNTS_NOTHING,
  COUNTS_VALUES,
  countIn,
  HEAD_BYTES,
} from './msgpack-token.ts'

/** What a part of a group's records is. */
export const LITERAL = 0
export const FIXED = 1
export const TOKENS = 2
/** In the table of parts: kind u8, two lengths u32. */
export const PART_BYTES = 9
/** Stands for the group of a record whose payload is kept as it is. */
export const NO_GROUP = 0
const GROUPS_MAX = 255
/** A table of parts costs about 150 bytes: fewer records than this do not pay for it. */
const GROUP_RECORDS_MIN = 8
/** Copying so few bytes one by one is faster than calling for it. */
export const SHORT_BYTES = 48

/** One column, or several that are the same in all records of the group. */
interface Part {
  readonly kind: number
  /** literal: its bytes, kept once; fixed: bytes of each; tokens: of all heads, and of all bodies. */
  first: number
  readonly second: number
}

interface Added {
  readonly type: number
  readonly from: number
  readonly to: number
  /** Its first token, and how many; none when it is not exactly one value. */
  readonly token: number
  readonly tokens: number
}

export class ColumnSplitter {
  /** The payloads of the block, one behind the other; and of each token where it begins and its head's bytes. */
  readonly #bytes: Buffer
  readonly #starts: Uint32Array
  readonly #headBytes: Uint8Array
  readonly #ends: Uint32Array
  #used = 0
  #tokens = 0
  #records: Added[] = []
  /** Of `take`: no more than all payloads, as what is the same is kept once. */
  readonly #columns: Buffer
  #columnsEnd = 0

  /** `bytesMax`: of the payloads of one block. */
  constructor(bytesMax: number) {
    this.#bytes = Buffer.allocUnsafeSlow(bytesMax)
    this.#starts = new Uint32Array(bytesMax)
    this.#headBytes = new Uint8Array(bytesMax)
    this.#ends = new Uint32Array(bytesMax)
    this.#columns = Buffer.allocUnsafeSlow(bytesMax)
  }

  get records(): number {
    return this.#records.length
  }

  /** `type`: 1 to 255. All payloads of a block together are at most `bytesMax`. */
  add(type: number, payload: Buffer): void {
    const [from, to] = [this.#used, this.#used + payload.length]
    assert(to <= this.#bytes.length, 'the payloads of a block fit it')
    payload.copy(this.#bytes, from)
    const tokens = this.#tokenize(from, to)
    this.#records.push({ type, from, to, token: this.#tokens, tokens })
    this.#used = to
    this.#tokens += tokens
  }

  /** What was added, as columns. The next payload begins another block. */
  take(): Buffer {
    const records = this.#records
    const groups = this.#groups()
    const places = Buffer.alloc(2 * records.length + 1, NO_GROUP)
    const tables: Buffer[] = []
    this.#columnsEnd = 0
    for (const [index, members] of groups.entries()) {
      for (const member of members) places[records.length + member] = index + 1
      tables.push(tableOf(this.#partsOf(members)))
    }
    places[2 * records.length] = groups.length
    const whole: Buffer[] = []
    for (const [index, { type, from, to }] of records.entries()) {
      places[index] = type
      if (places[records.length + index] === NO_GROUP)
        whole.push(Buffer.of((to - from) & 0xff, (to - from) >> 8), this.#bytes.subarray(from, to))
    }
    const columns = this.#columns.subarray(0, this.#columnsEnd)
    const taken = Buffer.concat([places, ...tables, columns, ...whole])
    this.#records = []
    this.#used = 0
    this.#tokens = 0
    return taken
  }

  /** Places of the records of each, the largest first. */
  #groups(): number[][] {
    const groups = new Map<number, number[]>()
    for (const [index, { type, tokens }] of this.#records.entries()) {
      if (tokens === 0) continue
      const key = tokens * 256 + type
      const members = groups.get(key)
      if (members === undefined) groups.set(key, [index])
      else members.push(index)
    }
    const large = [...groups.values()].filter(({ length }) => length >= GROUP_RECORDS_MIN)
    return large.sort((a, b) => b.length - a.length).slice(0, GROUPS_MAX)
  }

  /** Their bytes are put behind the columns there are. */
  #partsOf(members: readonly number[]): Part[] {
    const parts: Part[] = []
    const literal = (from: number, to: number) => {
      const last = parts.at(-1)
      if (last?.kind === LITERAL) last.first += to - from
      else parts.push({ kind: LITERAL, first: to - from, second: 0 })
      this.#put(from, to)
    }
    const firsts = members.map((member) => this.#records[member]!.token)
    for (let column = 0; column < this.#records[members[0]!]!.tokens; column += 1) {
      const token = firsts[0]! + column
      const from = this.#starts[token]!
      const to = this.#ends[token]!
      const bodyAt = from + this.#headBytes[token]!
      if (!this.#isSame(firsts, column, bodyAt - from)) {
        const heads = this.#putHeads(firsts, column)
        parts.push({ kind: TOKENS, first: heads, second: this.#putBodies(firsts, column) })
      } else if (to === bodyAt || this.#isSame(firsts, column, to - from)) literal(from, to)
      else {
        literal(from, bodyAt)
        this.#putBodies(firsts, column)
        parts.push({ kind: FIXED, first: to - bodyAt, second: 0 })
      }
    }
    return parts
  }

  /** Whether the first `length` bytes of a column's tokens are the same in all records. */
  #isSame(firsts: readonly number[], column: number, length: number): boolean {
    const bytes = this.#bytes
    const sample = this.#starts[firsts[0]! + column]!
    for (const first of firsts) {
      const at = this.#starts[first + column]!
      if (this.#ends[first + column]! - at < length) return false
      for (let index = 0; index < length; index += 1)
        if (bytes[at + index] !== bytes[sample + index]) return false
    }
    return true
  }

  /** Both return how many bytes they put. */
  #putHeads(firsts: readonly number[], column: number): number {
    const before = this.#columnsEnd
    for (const first of firsts) {
      const at = this.#starts[first + column]!
      this.#put(at, at + this.#headBytes[first + column]!)
    }
    return this.#columnsEnd - before
  }

  #putBodies(firsts: readonly number[], column: number): number {
    const before = this.#columnsEnd
    for (const first of firsts) {
      const token = first + column
      this.#put(this.#starts[token]! + this.#headBytes[token]!, this.#ends[token]!)
    }
    return this.#columnsEnd - before
  }

  #put(from: number, to: number): void {
    const bytes = this.#bytes
    const columns = this.#columns
    let end = this.#columnsEnd
    if (to - from > SHORT_BYTES) end += bytes.copy(columns, end, from, to)
    else for (let at = from; at < to; at += 1) columns[end++] = bytes[at]!
    this.#columnsEnd = end
  }

  /** Notes the tokens between `from` and `to` and returns how many; 0 when that is not exactly one value. */
  #tokenize(from: number, to: number): number {
    const bytes = this.#bytes
    let at = from
    let token = this.#tokens
    for (let left = 1; left > 0; left -= 1) {
      if (at >= to) return 0
      const first = bytes[at]!
      const head = HEAD_BYTES[first]!
      if (head === 0 || at + head > to) return 0
      let end = at + head + BODY_BYTES[first]!
      const counts = COUNTS[first]!
      if (counts !== COUNTS_NOTHING) {
        const count = countIn(bytes, at, head)
        if (counts === COUNTS_BYTES) end += count
        else left += counts === COUNTS_VALUES ? count : 2 * count
      }
      this.#starts[token] = at
      this.#headBytes[token] = head
      this.#ends[token] = end
      token += 1
      at = end
    }
    return at === to ? token - this.#tokens : 0
  }
}

function tableOf(parts: readonly Part[]): Buffer {
  const table = Buffer.allocUnsafe(2 + PART_BYTES * parts.length)
  table.writeUInt16LE(parts.length, 0)
  for (const [index, { kind, first, second }] of parts.entries()) {
    const at = 2 + PART_BYTES * index
    table[at] = kind
    table.writeUInt32LE(first, at + 1)
    table.writeUInt32LE(second, at + 5)
  }
  return table
}
