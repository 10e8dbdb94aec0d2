/**
 * What a resource of the admin API is: a path, a line about it, and a function from question to reply.
 * Resources know nothing of sockets; methods, limits, host check and headers are the server's.
 */
import type { Snapshot } from '../../domain/routes.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Observatory } from '../../observe/observatory.ts'

export interface Question {
  /** Values of the `{name}` parts of the path, percent-decoded. */
  readonly parameters: ReadonlyMap<string, string>
  readonly query: URLSearchParams
  /** The Accept header, or empty. */
  readonly accept: string
  /** Address of who asks. */
  readonly client: string
}

export interface Reply {
  readonly status: number
  readonly contentType: string
  readonly body: string | Uint8Array
  /** Beyond those every reply has. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface Resource {
  /** `/api/v1/decisions/{id}`: a part in braces stands for one non-empty path segment. */
  readonly path: string
  /** For people, on the front page. */
  readonly summary: string
  /** Answers GET and HEAD. A rejection or throw is a bug and becomes a 500 without details. */
  readonly get: (question: Question) => Reply | Promise<Reply>
}

/** What the composition root knows of the whole process. */
export interface Readiness {
  readonly ready: boolean
  readonly draining: boolean
  readonly checks: readonly ReadinessCheck[]
}

export interface ReadinessCheck {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

export interface AdminParts {
  readonly snapshot: () => Snapshot
  readonly observatory: Observatory
  readonly readiness: () => Readiness
  readonly clock: Clock
  /** Of this program. */
  readonly version: string
  /** Beyond it connections are closed unread; ADMIN_LIMITS.connections when not given. */
  readonly connectionsMax?: number
  /** Resources of other parts, in the same form. */
  readonly more?: readonly Resource[]
  /** A resource threw. */
  readonly onBug?: (error: unknown) => void
}
