/**
 * The fields of the few records that a check of the log looks into. The unpacker without its native helper, which makes
 * long texts faster and a process 7 MB larger.
 */
import { Unpackr } from 'msgpackr/unpack'

export type Fields = Readonly<Record<string, unknown>>

const unpackr = new Unpackr({ useRecords: false })

/** Of the record in a payload; none when it does not read as expected. */
export function fieldsOf(payload: Buffer): Fields {
  try {
    const [, , note] = unpackr.unpack(payload) as unknown[]
    return typeof note === 'object' && note !== null ? (note as Fields) : {}
  } catch {
    return {}
  }
}
