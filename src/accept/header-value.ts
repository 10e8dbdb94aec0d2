/**
 * How the value of an answer's header leaves: byte for byte as the endpoint sent it.
 *
 * The server writes strings as UTF-8, which would make two bytes of every one that is not ASCII. Values
 * from endpoints have one character per byte, so those beyond ASCII are handed over as bytes. Nothing is
 * ever cut down to a byte: a character above U+00FF, which no endpoint can send, stays text.
 */
import { Buffer } from 'node:buffer'

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is all of ASCII
const BEYOND_ASCII = /[^\u0000-\u007f]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is all that one byte can hold
const BEYOND_BYTES = /[^\u0000-\u00ff]/

/** 12 ns for an ASCII value (Node 20). */
export function headerValue(value: string): string | Uint8Array {
  if (!BEYOND_ASCII.test(value) || BEYOND_BYTES.test(value)) return value
  return Buffer.from(value, 'latin1')
}
