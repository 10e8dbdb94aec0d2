/** What the control thread and the entrance say to each other: where to listen, and to whom connections go. */
import type { Member } from './domain/lane-server.ts'
import type { HostPort } from './domain/routes.ts'

/** Handed over when the thread starts. */
export interface EntranceStart {
  /** As the lanes' servers. */
  readonly headerBytesMax: number
  readonly isSecure: boolean
  readonly connections: SharedArrayBuffer
}

export type ToEntrance =
  | { readonly kind: 'admit'; readonly members: readonly Member[] }
  | { readonly kind: 'listen'; readonly at: HostPort }
  /** Take what the kernel has queued, then nothing more, and end the thread. */
  | { readonly kind: 'close' }

export type FromEntrance =
  /** The answer to `admit`: others than those members get no connection any more. */
  | { readonly kind: 'admitted' }
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'cannot-listen'; readonly problem: string }
  | { readonly kind: 'closed' }
