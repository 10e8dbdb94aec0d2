/**
 * What the control thread and a lane say to each other. Few, rare and plain: nothing here is sent per
 * request, and neither side waits for the other to serve one.
 */

import type { JournalParts } from './audit/lane-journal.ts'
import type { CallerMemory } from './callers/caller-memory.ts'
import type { HostPort, Snapshot } from './domain/routes.ts'
import type { LaneAnnouncement } from './observe/announcements.ts'
import type { LimitsMemory } from './observe/limits-memory.ts'
import type { PressureChange } from './observe/pressure-gauge.ts'

/** Handed over when the thread starts. */
export interface LaneStart {
  readonly lane: number
  readonly lanes: number
  readonly version: string
  readonly snapshot: Snapshot
  readonly journal: JournalParts
  /** Bytes of bodies that this lane may hold. */
  readonly bodyBytesMax: number
  /** Of this lane. */
  readonly sockets: { readonly clients: number; readonly endpoints: number }
  /** What all threads know of endpoints (forward/balance/endpoint-board.ts). */
  readonly endpoints: SharedArrayBuffer
  readonly callerMemory: CallerMemory
  /** Of all lanes. */
  readonly limits: LimitsMemory
}

export type ToLane =
  | { readonly kind: 'listen'; readonly at: HostPort }
  /** Connections from now on get what the files of server.tls hold now. */
  | { readonly kind: 'renew-certificate' }
  /** Take no new connections, finish what is under way within the grace, then end the thread. */
  | { readonly kind: 'drain'; readonly graceMs: number }

export type FromLane =
  /** Everything is made and local models are loaded, or are known not to load. */
  | { readonly kind: 'prepared'; readonly uws: string }
  | { readonly kind: 'listening'; readonly port: number }
  /** The answer to `renew-certificate`; null: done. */
  | { readonly kind: 'certificate'; readonly problem: string | null }
  | { readonly kind: 'cannot-start'; readonly problem: string }
  | { readonly kind: 'versions'; readonly states: readonly VersionState[] }
  | { readonly kind: 'reading'; readonly announcement: LaneAnnouncement }
  /** Whether this lane’s records can be written; told when that changes. */
  | { readonly kind: 'log'; readonly isWritten: boolean }
  /** An endpoint’s name stopped resolving, or resolves again (`problem` null). */
  | {
      readonly kind: 'name'
      readonly name: string
      readonly problem: string | null
      readonly isKept: boolean
    }
  /** An endpoint is passed over from now on, or used again (`forMs` 0). */
  | {
      readonly kind: 'endpoint'
      readonly endpoint: string
      readonly model: string
      readonly version: string
      readonly forMs: number
    }
  /** This lane became shorter of time or memory, or less short. */
  | ({ readonly kind: 'pressure' } & PressureChange)
  /** An error nobody caught: a bug. The lane goes on; the words are for the log. */
  | { readonly kind: 'bug'; readonly report: string }
  | { readonly kind: 'drained'; readonly abandoned: number }

/** Whether a local version can score, from the model itself. */
export interface VersionState {
  readonly model: string
  readonly version: string
  readonly ready: boolean
  /** What is wrong, as callers may read it; empty when it is ready. */
  readonly detail: string
  /** What is behind that, for the operator: may name files and system errors; may be empty. */
  readonly reason: string
}
