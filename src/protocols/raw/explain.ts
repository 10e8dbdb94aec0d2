/** Problem details (RFC 9457): also what a path gets that no dialect answers. */
import { type Fault, traitsOf } from '../../domain/fault.ts'
import type { RenderedError } from '../protocol.ts'

export function explain(fault: Fault): RenderedError {
  const problem = {
    type: 'about:blank',
    title: fault.code,
    status: traitsOf(fault.code).status,
    detail: fault.message,
  }
  return { contentType: 'application/problem+json', body: Buffer.from(JSON.stringify(problem)) }
}
