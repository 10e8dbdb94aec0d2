/**
 * Ends a connection with RST. A socket that is sending its FIN is only destroyed: asked to reset, Node forgets
 * to close its handle, and the process never ends (it waits in the clean-up of its environment; Node 20).
 */
import type { Socket } from 'node:net'

export function resetSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
