/**
 * What a caller reads when an attempt failed: exact words with the names and limits of the configuration,
 * so that the line to change is known, and no address of the inside.
 */
import { type Fault, type FaultCode, fault } from '../domain/fault.ts'
import type { RemoteVersion, Timeouts } from '../domain/routes.ts'

export interface FaultContext {
  readonly version: RemoteVersion
  readonly timeouts: Timeouts
  readonly answerBytesMax: number
}

const RETRY_SOON: readonly string[] = ['retry-after', '1']
const MEBIBYTE = 1024 * 1024

/** `detail`: system errors and broken rules; the endpoint's address is put before it. */
export function attemptFault(
  code: FaultCode,
  { version, timeouts, answerBytesMax }: FaultContext,
  endpointUrl: string,
  detail: string,
): Fault {
  const who = `version '${version.name}' of model '${version.model}'`
  const inside = endpointUrl === '' ? detail : `${endpointUrl}: ${detail}`
  switch (code) {
    case 'connect-refused':
      return fault(code, `${who} refused the connection`, inside)
    case 'connect-timeout':
      return fault(code, `${who} did not accept a connection within ${timeouts.connectMs} ms`, inside)
    case 'connect-failed':
      return fault(code, `${who} could not be reached`, inside)
    case 'address-denied':
      return fault(code, `${who} is at a private address, which upstream.deny_private refuses`, inside)
    case 'tls-failed':
      return fault(code, `${who} could not be reached by TLS that can be trusted`, inside)
    case 'closed-before-answer':
      return fault(code, `${who} closed the connection before answering`, inside)
    case 'truncated-answer':
      return fault(code, `${who} closed the connection in the middle of its answer`, inside)
    case 'malformed-answer':
      return fault(code, `${who} sent an answer that breaks HTTP/1.1: ${detail}`, inside)
    case 'answer-too-large':
      return fault(code, `${who} sent an answer larger than ${sizeOf(answerBytesMax)}`, inside)
    case 'first-byte-timeout':
      return fault(code, `${who} did not begin to answer within ${timeouts.firstByteMs} ms`, inside)
    case 'idle-timeout':
      return fault(code, `${who} paused its answer for more than ${timeouts.idleMs} ms`, inside)
    case 'total-timeout':
      return fault(code, `${who} did not complete its answer within ${timeouts.totalMs} ms`, inside)
    case 'deadline-exceeded':
      return fault(code, `the caller’s deadline passed before ${who} had answered`, inside)
    case 'queue-timeout': {
      const text = `no connection to ${who} became free within ${timeouts.queueMs} ms`
      return fault(code, text, inside, RETRY_SOON)
    }
    case 'overloaded':
      return fault(code, `too many requests wait for a connection to ${who}`, inside, RETRY_SOON)
    case 'memory-exhausted':
      return fault(
        code,
        `no memory is left for the answer of ${who} (server.limits.memory)`,
        inside,
        RETRY_SOON,
      )
    case 'draining':
      return fault(code, 'the gateway is shutting down; try another one', inside, RETRY_SOON)
    case 'malformed-request':
      return fault(code, `the request cannot be passed on: ${detail}`, inside)
    default:
      return fault(code, `${who} could not answer (${code})`, inside)
  }
}

function sizeOf(bytes: number): string {
  return bytes >= MEBIBYTE && bytes % MEBIBYTE === 0 ? `${bytes / MEBIBYTE} MiB` : `${bytes} bytes`
}
