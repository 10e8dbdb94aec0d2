/**
 * The OpenAI API's error shape. `type` and `code` are the API's own words where it has one for the case; else
 * `code` is the fault's, so that the word a client logs is the one in the record.
 */
import { Buffer } from 'node:buffer'
import { type Fault, type FaultCode, traitsOf } from '../../domain/fault.ts'
import type { RenderedError } from '../protocol.ts'

export function explain(fault: Fault): RenderedError {
  return { contentType: 'application/json', body: Buffer.from(errorJson(fault)) }
}

/** Of a stream that is cut: clients raise an event that holds an `error`. Ends the event that was cut, if any. */
export function breakOff(fault: Fault): Uint8Array {
  return Buffer.from(`\n\ndata: ${errorJson(fault)}\n\n`)
}

function errorJson({ code, message }: Fault): string {
  return JSON.stringify({
    error: { message, type: typeOf(code), param: PARAMS.get(code) ?? null, code: CODES.get(code) ?? code },
  })
}

function typeOf(code: FaultCode): string {
  const { source, status, consequence } = traitsOf(code)
  if (status === 403) return 'permission_error'
  if (source === 'client') return 'invalid_request_error'
  if (consequence === 'overload') return 'overloaded_error'
  return consequence === 'timeout' ? 'timeout_error' : 'server_error'
}

const CODES: ReadonlyMap<FaultCode, string> = new Map([
  ['unknown-model', 'model_not_found'],
  ['unknown-path', 'unknown_url'],
])

const PARAMS: ReadonlyMap<FaultCode, string> = new Map([['unknown-model', 'model']])
