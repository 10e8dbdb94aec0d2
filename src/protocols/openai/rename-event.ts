/**
 * Puts our name of the model in place of the endpoint’s in one event of a stream. Most of what a renamed stream costs,
 * so the name is found without proving the JSON around it: one pass that knows strings and depth and nothing else.
 * What is no JSON is passed on as it is, or with a name replaced that no client will ever read.
 */
import { Buffer } from 'node:buffer'
import { type EventData, placeInEvent } from '../event-data.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const LF = 0x0a
const KEY = Buffer.from('"model"')

/** What stands in every event of a stream, as JSON. */
export function nameBytes(ourName: string): Uint8Array {
  return Buffer.from(JSON.stringify(ourName))
}

/** The event itself where it names no model. */
export function renameEvent(event: Uint8Array, data: EventData, ourName: Uint8Array): Uint8Array {
  const json = data.bytes
  const start = modelIn(json)
  if (start === -1) return event
  const length = stringEnd(json, start) - start
  // A string that goes over a line of the event is none.
  if (data.lines.length > 1 && json.subarray(start, start + length).includes(LF)) return event
  const from = placeInEvent(data, start)
  const end = from + length
  const renamed = Buffer.allocUnsafe(event.length - (end - from) + ourName.length)
  renamed.set(event.subarray(0, from), 0)
  renamed.set(ourName, from)
  renamed.set(event.subarray(end), from + ourName.length)
  return renamed
}

/** Where the string value of the last `model` at the top begins; -1 when there is none. */
function modelIn(json: Uint8Array): number {
  let found = -1
  let depth = 0
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at]!
    if (byte === QUOTE) {
      const end = stringEnd(json, at)
      if (depth === 1 && end - at === KEY.length && isKey(json, at)) {
        const value = valueAfter(json, end)
        if (value !== -1) found = value
      }
      at = end - 1
    } else if (byte === 0x7b || byte === 0x5b) depth += 1
    else if (byte === 0x7d || byte === 0x5d) depth -= 1
  }
  return found
}

function isKey(json: Uint8Array, at: number): boolean {
  for (let index = 1; index < KEY.length; index += 1) if (json[at + index] !== KEY[index]) return false
  return true
}

/** After a key: where its value begins, if that is a string; else -1. */
function valueAfter(json: Uint8Array, from: number): number {
  let at = from
  while (isSpace(json[at])) at += 1
  if (json[at] !== COLON) return -1
  at += 1
  while (isSpace(json[at])) at += 1
  return json[at] === QUOTE && stringEnd(json, at) <= json.length ? at : -1
}

/** Past the closing quote; past the end of the bytes where there is none. */
function stringEnd(json: Uint8Array, start: number): number {
  let at = start + 1
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1
  return at + 1
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d
}
