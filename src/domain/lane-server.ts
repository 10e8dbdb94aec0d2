/** A lane's HTTP server, as other threads know it. */

/** Names a server of another thread; a number, but not one to count with. */
export type ServerDescriptor = number

/** A server that connections may be handed to, and where its lane says how many it has. */
export interface Member {
  readonly server: ServerDescriptor
  readonly seat: number
}
