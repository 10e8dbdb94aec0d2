/**
 * Ends a connection behind an answer that was sent in parts. The server closes behind an answer only if it is ended
 * in one piece, or if the client's own `Connection` is exactly `close`; otherwise what follows would be taken for a
 * request, even behind a body whose end is in doubt.
 *
 * So nothing more is read: the client was told `connection: close` and ends it, or the server's idle timer does, 8 to
 * 12 s later. Closing at once is not possible: a response that is complete must not be touched any more.
 */
import type { HttpResponse } from 'uWebSockets.js'

/** Like `tryEnd`. */
export type Send = (http: HttpResponse, bytes: Uint8Array, bodyBytes: number) => [boolean, boolean]

export const tryPart: Send = (http, bytes, bodyBytes) => http.tryEnd(bytes, bodyBytes)

/**
 * Before the byte that completes the body, reading ends for good. Not earlier, or the client's leaving would go
 * unnoticed; and not in the same turn as a write that fails, which would then never be told of room.
 */
export const tryLast: Send = (http, bytes, bodyBytes) => {
  const isAll = http.getWriteOffset() + bytes.length === bodyBytes
  if (!isAll) return tryPart(http, bytes, bodyBytes)
  const last = Math.max(0, bytes.length - 1)
  if (last > 0) {
    const sent = tryPart(http, bytes.subarray(0, last), bodyBytes)
    if (!sent[0]) return sent
  }
  http.pause()
  return tryPart(http, bytes.subarray(last), bodyBytes)
}
