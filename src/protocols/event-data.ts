/**
 * What one server-sent event carries: the text of its `data` lines, joined with LF (WHATWG HTML §9.2.6), and where each
 * line lies in the event, so that what is found in the text can be replaced in the event.
 */
import { Buffer } from 'node:buffer'

export interface EventData {
  readonly bytes: Uint8Array
  /** Named `error` by its `event` line. */
  readonly isError: boolean
  /** Of each line of the data in turn: where it begins in `bytes`, and in the event. */
  readonly lines: readonly (readonly [inData: number, inEvent: number])[]
}

const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const DATA = Buffer.from('data:')
const EVENT = Buffer.from('event:')
const ERROR = Buffer.from('error')
const MARK = Buffer.from('\uFEFF')
/** Clients join them at a cost; nobody means to send more. */
const LINES_MAX = 1024

/** Null for an event without data, which no client is told of: a comment, a ping. `event` is whole. */
export function dataOf(event: Uint8Array, isFirst: boolean): EventData | null {
  const pieces: (readonly [start: number, end: number])[] = []
  let isError = false
  let at = isFirst && startsWith(event, 0, MARK) ? MARK.length : 0
  while (at < event.length) {
    const end = lineEnd(event, at)
    if (startsWith(event, at, DATA)) pieces.push([valueStart(event, at + DATA.length), end])
    else if (startsWith(event, at, EVENT)) isError = equals(event, valueStart(event, at + EVENT.length), end)
    at = end + (event[end] === CR && event[end + 1] === LF ? 2 : 1)
  }
  if (pieces.length === 0 || pieces.length > LINES_MAX) return null
  if (pieces.length === 1) {
    const [start, end] = pieces[0]!
    return { bytes: event.subarray(start, end), isError, lines: [[0, start]] }
  }
  return joined(event, pieces, isError)
}

function joined(
  event: Uint8Array,
  pieces: readonly (readonly [number, number])[],
  isError: boolean,
): EventData {
  const bytes = new Uint8Array(pieces.reduce((sum, [start, end]) => sum + end - start + 1, -1))
  const lines: [number, number][] = []
  let at = 0
  for (const [start, end] of pieces) {
    lines.push([at, start])
    bytes.set(event.subarray(start, end), at)
    at += end - start
    if (at < bytes.length) bytes[at] = LF
    at += 1
  }
  return { bytes, isError, lines }
}

/** Where byte `at` of the data lies in the event; right for what is within one line, as every JSON string is. */
export function placeInEvent({ lines }: EventData, at: number): number {
  let place = lines[0]!
  for (const line of lines) if (line[0] <= at) place = line
  return place[1] + at - place[0]
}

function lineEnd(event: Uint8Array, from: number): number {
  let at = from
  while (at < event.length && event[at] !== LF && event[at] !== CR) at += 1
  return at
}

/** One space after the colon is not part of the value. */
function valueStart(event: Uint8Array, from: number): number {
  return event[from] === SPACE ? from + 1 : from
}

function startsWith(bytes: Uint8Array, from: number, word: Uint8Array): boolean {
  for (let index = 0; index < word.length; index += 1) if (bytes[from + index] !== word[index]) return false
  return true
}

function equals(bytes: Uint8Array, from: number, end: number): boolean {
  return end - from === ERROR.length && startsWith(bytes, from, ERROR)
}
