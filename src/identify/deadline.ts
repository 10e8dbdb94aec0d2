/**
 * By when the caller wants its answer: `modelgate-deadline-ms` (milliseconds from now), or
 * `grpc-timeout` (gRPC over HTTP/2, “Timeout”: up to 8 digits and a unit). The first is preferred.
 */
import { type Fault, fault } from '../domain/fault.ts'
import { headerOf } from '../domain/head.ts'

export const DEADLINE_HEADER = 'modelgate-deadline-ms'
const GRPC_HEADER = 'grpc-timeout'

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['H', 3_600_000],
  ['M', 60_000],
  ['S', 1_000],
  ['m', 1],
  ['u', 1e-3],
  ['n', 1e-6],
])

/** Monotonic ms; Infinity when the caller set none. `arrivedAt`: monotonic ms. */
export function readDeadline(headers: readonly string[], arrivedAt: number): number | Fault {
  const own = headerOf(headers, DEADLINE_HEADER)
  if (own !== undefined) {
    if (/^\d{1,10}$/.test(own)) return arrivedAt + Number(own)
    return fault('malformed-request', `${DEADLINE_HEADER} must be whole milliseconds, such as 250`)
  }
  const grpc = headerOf(headers, GRPC_HEADER)
  if (grpc === undefined) return Number.POSITIVE_INFINITY
  const parts = /^(\d{1,8})([HMSmun])$/.exec(grpc)
  if (parts !== null) return arrivedAt + Number(parts[1]) * UNIT_MS.get(parts[2]!)!
  return fault('malformed-request', `${GRPC_HEADER} must be up to 8 digits and a unit, such as 250m`)
}
