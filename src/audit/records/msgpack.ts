/**
 * Packs values and reads them back: msgpack without extensions, so any reader of any language will do. Every payload
 * stands alone; shared structures would save a third but cannot be read after a crash that took the structure with it.
 */
import { Packr, RESET_BUFFER_MODE, Unpackr } from 'msgpackr'

const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false })

/** Valid until the next call: the buffer is used again. */
export function pack(value: unknown): Buffer {
  return packr.pack(value, RESET_BUFFER_MODE)
}

/** Throws on bytes that are no msgpack. */
export function unpack(bytes: Uint8Array): unknown {
  return unpackr.unpack(bytes)
}
