/** V1's error shape: exactly `{"error": "…"}`. */
import type { Fault } from '../../domain/fault.ts'
import type { RenderedError } from '../protocol.ts'

export function explain(fault: Fault): RenderedError {
  return { contentType: 'application/json', body: Buffer.from(JSON.stringify({ error: fault.message })) }
}
