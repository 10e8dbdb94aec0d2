/**
 * What the control thread and a lane say to each other. Few, rare and plain: nothing here is sent per
 * request, and neither side waits for the other to serve one.
 */

import type { CaptureParts } from './audit/capture/capture-entry.ts'
import type { JournalParts } from './audit/lane-journal.ts'
import type { CallerMemory } from './callers/caller-memory.ts'
import type { ServerDescriptor } from './domain/lane-server.ts'
import type { Snapshot } from './domain/routes.ts'
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
  /** Null: no model's bodies are kept. */
  readonly capture: CaptureParts | null
  /** Bytes of bodies that this lane may hold. */
  readonly bodyBytesMax: number
  /** Of this lane. */
  readonly sockets: { readonly clients: number; readonly endpoints: number }
  /** What all threads know of endpoints (forward/balance/endpoint-board.ts). */
  readonly endpoints: SharedArrayBuffer
  readonly callerMemory: CallerMemory
  /** Of all lanes. */
  readonly limits: LimitsMemory
  /** The breakers and retry budgets of all lanes, and this thread's place in them (observe/breaker-memory.ts). */
  readonly breakers: SharedArrayBuffer
  readonly retries: SharedArrayBuffer
  /** By seat: connections open, for the entrance to see. */
  readonly connections: SharedArrayBuffer
  readonly seat: number
}

export type ToLane =
  /** Make a server with what the files of server.tls hold now. */
  | { readonly kind: 'renew-certificate' }
  /**
   * No connections come any more. Finish what is under way within the grace, and end connections that were silent for
   * `quietMs`; then end the thread.
   */
  | { readonly kind: 'drain'; readonly graceMs: number; readonly quietMs: number }

/**
 * `refusing`: some models' cannot be written, or not be brought onto the disk, and their callers get 503. `losing`: records cannot be
 * written, and nobody has to wait for that.
 */
export type LogState = 'writing' | 'refusing' | 'losing'

export type FromLane =
  /** Everything is made and local models are loaded, or are known not to load. */
  | { readonly kind: 'prepared'; readonly uws: string; readonly server: ServerDescriptor }
  /** The answer to `renew-certificate`; `problem` null: connections may be handed to `server`. */
  | {
      readonly kind: 'certificate'
      readonly server: ServerDescriptor | null
      readonly problem: string | null
    }
  | { readonly kind: 'cannot-start'; readonly problem: string }
  | { readonly kind: 'versions'; readonly states: readonly VersionState[] }
  | { readonly kind: 'reading'; readonly announcement: LaneAnnouncement }
  /** How this lane’s records fare; told when that changes. */
  | { readonly kind: 'log'; readonly state: LogState }
  /** So many requests were sent on lately without being noted: a crash would leave no trace of them. */
  | { readonly kind: 'unnoted'; readonly requests: number }
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
  /** An error that ended one request: a bug. The words are for the log. */
  | { readonly kind: 'bug'; readonly report: string }
  /** An error nobody caught: what the lane is like now nobody knows. It goes on until it is told to drain. */
  | { readonly kind: 'stricken'; readonly report: string }
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
