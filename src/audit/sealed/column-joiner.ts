/**
 * Puts the payloads of one block back together from its columns (column-splitter.ts). It believes nothing: bytes that
 * no splitter made throw an error that says what is wrong, and never write past the room they are given.
 */
import { FIXED, LITERAL, NO_GROUP, PART_BYTES, SHORT_BYTES, TOKENS } from './column-splitter.ts'
import { BODY_BYTES, COUNTS, COUNTS_BYTES, countIn, HEAD_BYTES } from './msgpack-token.ts'

/** One part of a group's records: where the next piece of it is taken from. */
interface Source {
  readonly kind: number
  /** Bytes of each piece; 0 where heads tell it. */
  readonly width: number
  at: number
  readonly end: number
  /** Of tokens: at and end are those of the heads, and these those of the bodies. */
  bodyAt: number
  readonly bodyEnd: number
}

export class ColumnJoiner {
  readonly #bytes: Buffer
  readonly #records: number
  readonly #groups: readonly Source[][]
  #record = 0
  #whole: number

  /** `bytes`: as `take` gave them, of `records` payloads. */
  constructor(bytes: Buffer, records: number) {
    this.#bytes = bytes
    this.#records = records
    const { groups, end } = readTables(bytes, records)
    this.#groups = groups
    this.#whole = end
  }

  /** Type of the next record. Only while there is one. */
  get type(): number {
    return this.#bytes[this.#record]!
  }

  /** Everything was taken. */
  get isAtEnd(): boolean {
    if (this.#record < this.#records || this.#whole < this.#bytes.length) return false
    return this.#groups.every((sources) =>
      sources.every(
        ({ kind, at, end, bodyAt, bodyEnd }) => kind === LITERAL || (at === end && bodyAt === bodyEnd),
      ),
    )
  }

  /** Writes the next payload to `target` from `at` on, which has room up to `limit`; returns where it ends. */
  next(target: Buffer, at: number, limit: number): number {
    if (this.#record >= this.#records) throw new Error('there are no more records')
    const group = this.#bytes[this.#records + this.#record]!
    this.#record += 1
    if (group === NO_GROUP) return this.#nextWhole(target, at, limit)
    const sources = this.#groups[group - 1]
    if (sources === undefined) throw new Error('a record has no columns')
    return join(this.#bytes, sources, target, { at, limit })
  }

  #nextWhole(target: Buffer, at: number, limit: number): number {
    const from = this.#whole + 2
    if (from > this.#bytes.length) throw new Error('a record is cut short')
    const end = from + this.#bytes.readUInt16LE(this.#whole)
    if (end > this.#bytes.length) throw new Error('a record is cut short')
    if (at + end - from > limit) throw new Error('the records are longer than the block says')
    this.#bytes.copy(target, at, from, end)
    this.#whole = end
    return at + end - from
  }
}

function join(
  bytes: Buffer,
  sources: readonly Source[],
  target: Buffer,
  room: { at: number; limit: number },
): number {
  const { limit } = room
  let { at } = room
  for (const source of sources) {
    const { kind } = source
    let { width } = source
    let from = source.at
    if (kind !== TOKENS) {
      if (from + width > source.end) throw new Error('a column is cut short')
      if (at + width > limit) throw new Error('the records are longer than the block says')
      if (kind === FIXED) source.at = from + width
    } else {
      if (from >= source.end) throw new Error('a column of heads is cut short')
      const first = bytes[from]!
      const head = HEAD_BYTES[first]!
      if (head === 0 || from + head > source.end) throw new Error('a column of heads is cut short')
      width = COUNTS[first] === COUNTS_BYTES ? countIn(bytes, from, head) : BODY_BYTES[first]!
      if (source.bodyAt + width > source.bodyEnd) throw new Error('a column of bodies is cut short')
      if (at + head + width > limit) throw new Error('the records are longer than the block says')
      for (let index = 0; index < head; index += 1) target[at++] = bytes[from + index]!
      source.at = from + head
      from = source.bodyAt
      source.bodyAt = from + width
    }
    if (width > SHORT_BYTES) {
      bytes.copy(target, at, from, from + width)
      at += width
    } else for (const end = from + width; from < end; from += 1) target[at++] = bytes[from]!
  }
  return at
}

/** The parts of every group, and where their columns end. */
function readTables(bytes: Buffer, records: number): { groups: Source[][]; end: number } {
  const members = membersOf(bytes, records)
  const tables: { kind: number; first: number; second: number }[][] = []
  let at = 2 * records + 1
  for (let group = bytes[2 * records] ?? cutShort(); group > 0; group -= 1) {
    if (at + 2 > bytes.length) cutShort()
    const parts = bytes.readUInt16LE(at)
    at += 2
    if (at + parts * PART_BYTES > bytes.length) cutShort()
    const table = Array.from({ length: parts }, (_, index) => {
      const entry = at + index * PART_BYTES
      return {
        kind: bytes[entry]!,
        first: bytes.readUInt32LE(entry + 1),
        second: bytes.readUInt32LE(entry + 5),
      }
    })
    tables.push(table)
    at += parts * PART_BYTES
  }
  const groups = tables.map((table, group) =>
    table.map(({ kind, first, second }) => {
      if (kind > TOKENS) throw new Error(`a part of kind ${kind}`)
      const end = at + (kind === FIXED ? first * members[group + 1]! : first)
      const source = {
        kind,
        width: kind === TOKENS ? 0 : first,
        at,
        end,
        bodyAt: end,
        bodyEnd: end + (kind === TOKENS ? second : 0),
      }
      at = source.bodyEnd
      return source
    }),
  )
  if (at > bytes.length) throw new Error('the columns are cut short')
  return { groups, end: at }
}

/** How many records each group has. */
function membersOf(bytes: Buffer, records: number): number[] {
  const members: number[] = new Array(256).fill(0)
  for (let index = records; index < 2 * records; index += 1) members[bytes[index] ?? cutShort()]! += 1
  return members
}

function cutShort(): never {
  throw new Error('the table of columns is cut short')
}
