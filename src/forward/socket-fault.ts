/**
 * From a socket's error to a fault code, here and nowhere else. The code says what the endpoint did; the
 * system's own words go into the fault's `detail`, because they name addresses.
 */
import type { FaultCode } from '../domain/fault.ts'

/** An error before the connection stood. Names that do not resolve come as ENOTFOUND or EAI_*. */
export function connectFault(error: Error): FaultCode {
  switch (errnoOf(error)) {
    case 'ECONNREFUSED':
      return 'connect-refused'
    case 'ETIMEDOUT':
      return 'connect-timeout'
    default:
      return 'connect-failed'
  }
}

/**
 * A connection that ended, by FIN or error, while it carried a request. In TLS 1.3 an endpoint refuses our
 * certificate only after the handshake looks complete from here.
 */
export function lossFault(answerBegan: boolean, error?: Error): FaultCode {
  if (answerBegan) return 'truncated-answer'
  return error !== undefined && errnoOf(error).startsWith('ERR_SSL_') ? 'tls-failed' : 'closed-before-answer'
}

/** `ECONNRESET read ECONNRESET`: errno first, for searching. */
export function describeError(error: Error): string {
  const errno = errnoOf(error)
  return errno === '' ? error.message : `${errno} ${error.message}`.trim()
}

/** Of several addresses tried, Node reports an AggregateError whose code is the first one's. */
function errnoOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException
  return typeof code === 'string' ? code : ''
}
