/**
 * How the descriptors this process may open are shared out: to its files and threads first, then to endpoints, the
 * rest to clients. When they run out all the same, a gateway can neither answer nor log, and cannot even say no.
 */
import { readFileSync } from 'node:fs'
import type { Snapshot } from '../domain/routes.ts'
import { ADMIN_LIMITS } from './admin/admin-server.ts'
import { AT_ONCE, probeTargets } from './probes/prober.ts'

/** Journals, segments, the lock, standard streams, models that are being loaded. */
const FILES = 48
/** A thread's loop: its poll, its wake-ups. Each lane was counted to add 4 (Node 20). */
const EACH_THREAD = 8
/** Of the configured clients: whoever gets nearly all of them need not be told. */
const NEARLY_ALL = 0.9
/** With less a lane is of no use. */
export const LANE_SOCKETS_MIN = 8

/** Of what files and threads leave, for connections to the admin port; and at least ADMIN_MIN. */
const ADMIN_SHARE = 1 / 8
const ADMIN_MIN = 8
/** For asking endpoints whether they are well, where that is configured. */
const PROBES_SHARE = 1 / 16
const PROBES_MIN = 4

/** For the whole process. */
export interface SocketShares {
  readonly admin: number
  readonly clients: number
  readonly endpoints: number
  /** Endpoints that are asked at once whether they are well. */
  readonly probes: number
  /** Noticeably fewer clients than configured, in words for the operator; empty otherwise. */
  readonly warning: string
}

/** RLIMIT_NOFILE (Node raises it to the hard limit at its start); Infinity where the system does not say. */
export function descriptorsMax(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8')
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/** Or a line that says why it cannot work. */
export function socketShares(
  snapshot: Snapshot,
  /** What the process may open, and what one lane may have open to one endpoint. */
  { descriptors, eachEndpoint }: { readonly descriptors: number; readonly eachEndpoint: number },
): SocketShares | string {
  const { server, scoring, versions, models } = snapshot
  const { lanes, connectionsMax } = server
  // The control thread, the writer, publisher, keeper and capture of the log, the entrance, and one lane that is being
  // replaced.
  const threads = lanes + scoring.threads + 7
  const free = descriptors - FILES - EACH_THREAD * threads
  const needed = 2 * lanes * LANE_SOCKETS_MIN
  const spare = free - needed
  const admin = Math.min(ADMIN_LIMITS.connections, Math.max(ADMIN_MIN, Math.floor(spare * ADMIN_SHARE)))
  const asked = Math.min(AT_ONCE, probeTargets(snapshot).length)
  const probes = Math.min(asked, Math.max(PROBES_MIN, Math.floor(spare * PROBES_SHARE)))
  const left = free - admin - probes
  if (left < needed) {
    const least = FILES + EACH_THREAD * threads + ADMIN_MIN + Math.min(asked, PROBES_MIN) + needed
    return `this process may open ${descriptors} files (ulimit -n); ${lanes} lanes and their threads need at least ${least}`
  }
  const keys = versions.flatMap((version) =>
    version.kind === 'remote' ? version.endpoints.map(({ key }) => key) : [],
  )
  const hasShadows = [...models.values()].some(({ route }) => route.shadows.length > 0)
  const wanted = new Set(keys).size * eachEndpoint * lanes * (hasShadows ? 2 : 1)
  const endpoints = Math.max(lanes * LANE_SOCKETS_MIN, Math.min(wanted, Math.floor(left / 2)))
  const clients = Math.min(connectionsMax, left - endpoints)
  const warning =
    clients >= NEARLY_ALL * connectionsMax
      ? ''
      : `at most ${clients} client connections, not ${connectionsMax} (server.limits.connections): this process may open ${descriptors} files (ulimit -n)`
  return { admin, clients, endpoints, probes, warning }
}
