/**
 * Puts the payloads of one block back together from its columns (column-splitter.ts). It believes nothing: bytes that
 * no splitter made throw an error that says what is wrong, and never write past the room they are given.
 *
 * First all is measured, and with that proven; then each column is dealt out to the records of its group, one behind the
 * other. Pieces are some bytes long; they are moved four bytes at a time, and what that writes behind a piece the next one
 * writes over. Record by record and byte by byte took two and a half times as long.
 */
import { FIXED, NO_GROUP, PART_BYTES, TOKENS } from './column-splitter.ts'
import { BODY_BYTES, BODY_TOLD, COUNTS, COUNTS_BYTES, countIn, HEAD_BYTES, UNTOLD } from './msgpack-token.ts'

const WORD_BYTES = 4
/** So many bytes behind each payload may be written over. */
export const OVERRUN_BYTES = WORD_BYTES - 1

/** One part of a group's records: where its pieces lie, one behind the other. */
interface Part {
  readonly kind: number
  /** Bytes of each piece; 0 where heads tell it. */
  readonly width: number
  readonly at: number
  /** Of tokens, where the heads end and the bodies begin. */
  readonly end: number
  readonly bodyEnd: number
}

interface Group {
  /** Places of its records in the block. */
  readonly members: Uint32Array
  readonly parts: readonly Part[]
}

export class ColumnJoiner {
  readonly #bytes: Buffer
  readonly #groups: readonly Group[]
  /** Records that belong to none, and where their payloads begin to lie. */
  readonly #whole: Uint32Array
  readonly #wholeAt: number
  /** Of each record's payload. */
  readonly lengths: Uint32Array

  /** `bytes`: as `take` gave them, of `records` payloads, which are together `payloadBytes` long. */
  constructor(bytes: Buffer, records: number, payloadBytes: number) {
    this.#bytes = bytes
    const [whole, ...members] = membersOf(bytes, records)
    const { groups, end } = readTables(bytes, records, members)
    this.#groups = groups
    this.#whole = whole!
    this.#wholeAt = end
    this.lengths = new Uint32Array(records)
    for (const group of groups) measureGroup(bytes, group, this.lengths)
    this.#measureWhole()
    let sum = 0
    for (let index = 0; index < records; index += 1) sum += this.lengths[index]!
    if (sum > payloadBytes) throw new Error('the records are longer than the block says')
    if (sum < payloadBytes) throw new Error('the records are shorter than the block says')
  }

  /** Type of a record. */
  typeOf(record: number): number {
    return this.#bytes[record]!
  }

  /** Writes each payload to `target`, where `places` says, which become their ends. See OVERRUN_BYTES. */
  fill(target: Buffer, places: Uint32Array): void {
    const mover = new Mover(this.#bytes, target)
    for (const { members, parts } of this.#groups) {
      for (const part of parts) {
        if (part.kind === TOKENS) dealTokens(mover, part, members, places)
        else deal(mover, part, members, places)
      }
    }
    let from = this.#wholeAt
    for (const member of this.#whole) {
      const length = this.lengths[member]!
      places[member]! += this.#bytes.copy(target, places[member]!, from + 2, from + 2 + length)
      from += 2 + length
    }
  }

  #measureWhole(): void {
    const bytes = this.#bytes
    let at = this.#wholeAt
    for (const member of this.#whole) {
      if (at + 2 > bytes.length) throw new Error('a record is cut short')
      this.lengths[member] = bytes.readUInt16LE(at)
      at += 2 + this.lengths[member]!
    }
    if (at > bytes.length) throw new Error('a record is cut short')
    if (at < bytes.length) throw new Error('it holds more than its records')
  }
}

function measureGroup(bytes: Buffer, { members, parts }: Group, lengths: Uint32Array): void {
  let same = 0
  for (const part of parts) {
    if (part.kind === TOKENS) measureTokens(bytes, part, members, lengths)
    else same += part.width
  }
  for (let index = 0; index < members.length; index += 1) lengths[members[index]!]! += same
}

function measureTokens(
  bytes: Buffer,
  { at, end, bodyEnd }: Part,
  members: Uint32Array,
  lengths: Uint32Array,
): void {
  let [from, bodyAt] = [at, end]
  for (let index = 0; index < members.length; index += 1) {
    if (from >= end) throw new Error('a column of heads is cut short')
    const first = bytes[from]!
    const told = BODY_TOLD[first]!
    if (told !== UNTOLD) {
      from += 1
      bodyAt += told
      lengths[members[index]!]! += 1 + told
      continue
    }
    const head = HEAD_BYTES[first]!
    if (head === 0 || from + head > end) throw new Error('a column of heads is cut short')
    const body = bodyOf(bytes, from)
    from += head
    bodyAt += body
    lengths[members[index]!]! += head + body
  }
  if (bodyAt > bodyEnd) throw new Error('a column of bodies is cut short')
  if (from < end || bodyAt < bodyEnd) throw new Error('it holds more than its records')
}

/** Moves bytes from one buffer to another, whole words of them where the source is long enough. */
class Mover {
  readonly bytes: Buffer
  readonly #target: Buffer
  readonly #from: DataView
  readonly #to: DataView
  readonly #wordsEnd: number

  constructor(bytes: Buffer, target: Buffer) {
    this.bytes = bytes
    this.#target = target
    this.#from = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#to = new DataView(target.buffer, target.byteOffset, target.length)
    this.#wordsEnd = bytes.length - OVERRUN_BYTES
  }

  move(from: number, to: number, length: number): void {
    if (from + length <= this.#wordsEnd) {
      for (let at = 0; at < length; at += WORD_BYTES)
        this.#to.setInt32(to + at, this.#from.getInt32(from + at, true), true)
    } else {
      for (let at = 0; at < length; at += 1) this.#target[to + at] = this.bytes[from + at]!
    }
  }
}

function deal(mover: Mover, { kind, width, at }: Part, members: Uint32Array, places: Uint32Array): void {
  const step = kind === FIXED ? width : 0
  for (let index = 0, from = at; index < members.length; index += 1, from += step) {
    const member = members[index]!
    const to = places[member]!
    places[member] = to + width
    mover.move(from, to, width)
  }
}

/** They were measured: every head is one, and its body is there. */
function dealTokens(mover: Mover, { at, end }: Part, members: Uint32Array, places: Uint32Array): void {
  const { bytes } = mover
  let [from, bodyAt] = [at, end]
  for (let index = 0; index < members.length; index += 1) {
    const member = members[index]!
    const first = bytes[from]!
    const to = places[member]!
    const told = BODY_TOLD[first]!
    const head = told === UNTOLD ? HEAD_BYTES[first]! : 1
    const body = told === UNTOLD ? bodyOf(bytes, from) : told
    places[member] = to + head + body
    mover.move(from, to, head)
    mover.move(bodyAt, to + head, body)
    from += head
    bodyAt += body
  }
}

function bodyOf(bytes: Buffer, at: number): number {
  const first = bytes[at]!
  return COUNTS[first] === COUNTS_BYTES ? countIn(bytes, at, HEAD_BYTES[first]!) : BODY_BYTES[first]!
}

/** The parts of every group, and where their columns end. */
function readTables(
  bytes: Buffer,
  records: number,
  members: readonly Uint32Array[],
): { groups: Group[]; end: number } {
  const count = bytes[2 * records] ?? cutShort()
  if (members.length > count) throw new Error('a record has no columns')
  const tables: number[] = []
  let at = 2 * records + 1
  for (let group = 0; group < count; group += 1) {
    if (at + 2 > bytes.length) cutShort()
    tables.push(at)
    at += 2 + bytes.readUInt16LE(at) * PART_BYTES
    if (at > bytes.length) cutShort()
  }
  const groups = tables.map((table, group) => {
    const own = members[group] ?? NOBODY
    const parts: Part[] = []
    for (let left = bytes.readUInt16LE(table), entry = table + 2; left > 0; left -= 1, entry += PART_BYTES) {
      const part = partAt(bytes, entry, { at, members: own.length })
      parts.push(part)
      at = part.bodyEnd
    }
    return { members: own, parts }
  })
  if (at > bytes.length) throw new Error('the columns are cut short')
  return { groups, end: at }
}

const NOBODY = new Uint32Array(0)

/** `at`: where its pieces begin. */
function partAt(bytes: Buffer, entry: number, { at, members }: { at: number; members: number }): Part {
  const kind = bytes[entry]!
  if (kind > TOKENS) throw new Error(`a part of kind ${kind}`)
  const first = bytes.readUInt32LE(entry + 1)
  const end = at + (kind === FIXED ? first * members : first)
  const bodyEnd = kind === TOKENS ? end + bytes.readUInt32LE(entry + 5) : end
  return { kind, width: kind === TOKENS ? 0 : first, at, end, bodyEnd }
}

/** Places of the records of each group, those without one first; up to the last group that has any. */
function membersOf(bytes: Buffer, records: number): Uint32Array[] {
  if (bytes.length < 2 * records) cutShort()
  const counts = new Uint32Array(256)
  let last = NO_GROUP
  for (let index = records; index < 2 * records; index += 1) {
    const group = bytes[index]!
    counts[group]! += 1
    if (group > last) last = group
  }
  const members: Uint32Array[] = []
  for (let group = NO_GROUP; group <= last; group += 1) members.push(new Uint32Array(counts[group]!))
  counts.fill(0)
  for (let index = 0; index < records; index += 1) {
    const group = bytes[records + index]!
    members[group]![counts[group]!] = index
    counts[group]! += 1
  }
  return members
}

function cutShort(): never {
  throw new Error('the table of columns is cut short')
}
