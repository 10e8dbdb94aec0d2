/**
 * Lets an answer be read that came before the request was taken. An endpoint that refuses a large body
 * (413, 401) answers, and closes with bytes unread; its kernel then resets the connection, our next write
 * fails, and Node destroys the socket at once, with the answer still unread in our kernel: one in three
 * callers got 502 instead of 413.
 *
 * The reset came behind the answer, so when a write fails, all there is to read has arrived: destroying is
 * put off until the loop has looked at the socket once more. It then happens, whatever was read.
 */
import type { Socket } from 'node:net'

export function readOnAfterWriteError(socket: Socket): void {
  const destroy = socket.destroy
  let isPutOff = false
  socket.destroy = (error?: Error) => {
    if (error === undefined || isPutOff || !isWriteError(error)) return destroy.call(socket, error)
    isPutOff = true
    // The first may run before the loop polls again; the second cannot.
    setImmediate(() => setImmediate(() => destroy.call(socket, error)))
    return socket
  }
}

function isWriteError(error: Error): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException
  return syscall === 'write' && (code === 'EPIPE' || code === 'ECONNRESET')
}
