/**
 * The one place where the control thread's parts are made and introduced to each other: the log, the
 * lanes, the admin server. Nothing here is on a request's path.
 *
 * `startGateway` resolves when callers can be served, or to a problem in words; it leaves nothing
 * running behind when it could not start. The order of stopping is in lifecycle.ts.
 */
import { HEADER_SLACK_BYTES, stateHeaderLimit } from './accept/load-uws.ts'
import { type AuditWriter, openAudit } from './audit/open-audit.ts'
import type { RecoveryReport } from './audit/records/notes.ts'
import { makeCallerMemory } from './callers/caller-memory.ts'
import { AdminServer } from './control/admin/admin-server.ts'
import type { AdminParts, Readiness } from './control/admin/resource.ts'
import { decision } from './control/admin/resources/decision.ts'
import { endpoints } from './control/admin/resources/endpoints.ts'
import { CertificateWatch } from './control/certificate-watch.ts'
import { LaneThread } from './control/lane-thread.ts'
import { logMetrics } from './control/log-metrics.ts'
import { bodiesShare, memoryBytes } from './control/memory-share.ts'
import { freePort, probePort } from './control/port-probe.ts'
import { EndpointHealth } from './control/probes/endpoint-health.ts'
import { endpointMetrics } from './control/probes/endpoint-metrics.ts'
import { descriptorsMax, type SocketShares, socketShares } from './control/socket-shares.ts'
import { VersionReadiness } from './control/version-readiness.ts'
import type { HostPort, Snapshot } from './domain/routes.ts'
import { boardShapeOf, EndpointBoard } from './forward/balance/endpoint-board.ts'
import { CONNECTIONS_MAX } from './forward/pool.ts'
import { Resolver } from './forward/resolver.ts'
import { systemChance } from './kernel/chance.ts'
import { systemClock } from './kernel/clock.ts'
import { laneShare } from './kernel/lane-share.ts'
import type { LaneStart, VersionState } from './lane-messages.ts'
import { type Running, stopInOrder } from './lifecycle.ts'
import type { LaneAnnouncement } from './observe/announcements.ts'
import { type LimitsMemory, makeLimits, openLimits } from './observe/limits-memory.ts'
import { Observatory } from './observe/observatory.ts'

export interface GatewayOptions {
  readonly snapshot: Snapshot
  /** Of this program. */
  readonly version: string
  /** As the user named it, for the log. */
  readonly configFile: string
  /** What an operator should know, one line at a time. */
  log(line: string): void
}

export interface Gateway {
  readonly inferencePort: number
  readonly adminPort: number
  /** Build of the HTTP server that loaded. */
  readonly uws: string
  readonly recovery: RecoveryReport
  /** Finishes what is under way within the grace, then ends every thread. The second call waits for the first. */
  stop(cause: string): Promise<{ readonly abandoned: number }>
  /** Looks at the files of server.tls now and takes what changed; does nothing without TLS. */
  renewCertificate(): Promise<void>
  /** Resolves when the gateway can no longer keep its promises and must be stopped; never otherwise. */
  readonly failed: Promise<Error>
}

export type Start =
  | { readonly ok: true; readonly gateway: Gateway }
  | { readonly ok: false; readonly problem: string }

export async function startGateway(options: GatewayOptions): Promise<Start> {
  const { snapshot } = options
  const { server } = snapshot
  const shares = socketShares(snapshot, { descriptors: descriptorsMax(), eachEndpoint: CONNECTIONS_MAX })
  if (typeof shares === 'string') return { ok: false, problem: shares }
  if (shares.warning !== '') options.log(shares.warning)
  const bodies = bodiesShare(snapshot, memoryBytes())
  if (bodies.warning !== '') options.log(bodies.warning)
  const taken =
    (await probePort(server.listen, 'server.listen')) ?? (await probePort(server.admin, 'server.admin'))
  if (taken !== null) return { ok: false, problem: taken }
  const opened = await openAudit({
    dataDir: server.dataDir,
    lanes: server.lanes,
    clock: systemClock,
    digestBytesMax: snapshot.audit.digestBytesMax,
  })
  if ('kind' in opened) return { ok: false, problem: opened.message }
  const running = makeParts(options, opened.audit, { ...shares, bodyBytes: bodies.bytes })
  try {
    return { ok: true, gateway: await open(options, running, opened.recovery) }
  } catch (error) {
    await stopInOrder(running, { cause: 'could not start', graceMs: 0 })
    return { ok: false, problem: (error as Error).message }
  }
}

interface Parts extends Running {
  /** Null without server.tls. */
  readonly certificates: CertificateWatch | null
  /** The inference port is open on every lane. */
  isListening: boolean
  /** The log can take no more records; the process must end. */
  isLogLost: boolean
  /** Lanes whose records cannot be written at present; they answer 503 until they can. */
  readonly lanesWithoutLog: Set<number>
  readonly readiness: VersionReadiness
  readonly probes: EndpointHealth
  readonly admin: AdminServer
  readonly failed: Promise<Error>
}

const AT_FIRST = { isDraining: false, isListening: false, isLogLost: false }

function makeParts(options: GatewayOptions, audit: AuditWriter, shares: Shares): Parts {
  const { snapshot, version, log } = options
  const { promise: failed, resolve: fail } = withResolvers<Error>()
  const board = new EndpointBoard(boardShapeOf(snapshot))
  const health = watchEndpoints(snapshot, { board, audit, log, atOnce: shares.probes })
  const readiness = new VersionReadiness(snapshot, health)
  const certificates = watchCertificates(snapshot, () => lanes, log)
  const lanesWithout = () => running.lanesWithoutLog.size
  const limits = makeLimits(snapshot)
  const observatory = new Observatory({
    snapshot: () => snapshot,
    clock: systemClock,
    version,
    limits: openLimits(limits, snapshot, 0),
    more: [
      ...logMetrics(() => audit.counts(), lanesWithout),
      ...(certificates?.metrics ?? []),
      ...endpointMetrics({ snapshot, board, health }),
    ],
  })
  stateHeaderLimit(snapshot.server.headerBytesMax + HEADER_SLACK_BYTES)
  audit.onFatal((problem) => {
    running.isLogLost = true
    fail(new Error(problem))
  })
  const lanes = makeLanes(options, shares, {
    board,
    limits,
    journalOf: (lane) => audit.laneParts(lane),
    onReading: (lane, announcement) => observatory.take(lane, announcement),
    onVersions: (lane, states) => readiness.update(lane, states),
    onLog: (lane, isWritten) => {
      if (isWritten) running.lanesWithoutLog.delete(lane)
      else running.lanesWithoutLog.add(lane)
    },
    onFailure: fail,
  })
  const parts = {
    clock: systemClock,
    audit,
    lanes,
    certificates,
    probes: health,
    readiness,
    failed,
    ...AT_FIRST,
    lanesWithoutLog: new Set<number>(),
  }
  const more = [endpoints({ snapshot, board, health, clock: systemClock }), decision(snapshot.server.dataDir)]
  const admin = makeAdmin(options, {
    observatory,
    readiness: () => readinessOf(running),
    connectionsMax: shares.admin,
    more,
  })
  const running: Parts = { ...parts, admin }
  return running
}

interface Shares extends SocketShares {
  /** Of bodies under way, over all lanes. */
  readonly bodyBytes: number
}

interface LaneEvents {
  /** What lanes know of endpoints. */
  readonly board: EndpointBoard
  readonly limits: LimitsMemory
  journalOf(lane: number): LaneStart['journal']
  onReading(lane: number, announcement: LaneAnnouncement): void
  onVersions(lane: number, states: readonly VersionState[]): void
  onLog(lane: number, isWritten: boolean): void
  onFailure(error: Error): void
}

function makeLanes(
  { snapshot, version, log }: GatewayOptions,
  shares: Shares,
  events: LaneEvents,
): readonly LaneThread[] {
  const { lanes } = snapshot.server
  const sockets = {
    clients: laneShare(shares.clients, lanes),
    endpoints: laneShare(shares.endpoints, lanes),
  }
  const bodyBytesMax = laneShare(shares.bodyBytes, lanes)
  const shared = {
    lanes,
    version,
    snapshot,
    sockets,
    bodyBytesMax,
    callerMemory: makeCallerMemory(snapshot),
    endpoints: events.board.buffer,
    limits: events.limits,
  }
  return Array.from({ length: lanes }, (_, lane) => {
    return new LaneThread({
      start: { ...shared, lane, journal: events.journalOf(lane) },
      onReading: (announcement) => events.onReading(lane, announcement),
      onVersions: (states) => events.onVersions(lane, states),
      onLog: (isWritten) => {
        events.onLog(lane, isWritten)
        log(`lane ${lane}: ${isWritten ? LOG_IS_BACK : LOG_IS_GONE}`)
      },
      onWords: (words) => log(`lane ${lane}: ${words}`),
      onBug: (report) => log(`a bug in lane ${lane}: ${report}`),
      onFailure: events.onFailure,
    })
  })
}

function makeAdmin(
  { snapshot, version, log }: GatewayOptions,
  known: Pick<AdminParts, 'observatory' | 'readiness' | 'connectionsMax' | 'more'>,
): AdminServer {
  return new AdminServer({
    ...known,
    snapshot: () => snapshot,
    clock: systemClock,
    version,
    onBug: (error) => log(`a bug in the admin API: ${String((error as Error).stack ?? error)}`),
  })
}

/** Nothing is asked before `open`. */
function watchEndpoints(snapshot: Snapshot, { board, audit, log, atOnce }: Watching): EndpointHealth {
  // Of its own: what lanes learn of names stays with them, and they tell the operator.
  const resolver = new Resolver({ clock: systemClock })
  return new EndpointHealth({
    snapshot,
    board,
    clock: systemClock,
    chance: systemChance,
    addressesOf: (host, told) => resolver.addressesOf(host, told),
    atOnce,
    record: (note) => audit.event('endpoint', note),
    log,
  })
}

interface Watching {
  readonly board: EndpointBoard
  readonly audit: AuditWriter
  readonly log: GatewayOptions['log']
  readonly atOnce: number
}

/** Made before the lanes read the files, so that no change is missed. */
function watchCertificates(
  { server: { tls } }: Snapshot,
  lanes: () => readonly LaneThread[],
  log: GatewayOptions['log'],
): CertificateWatch | null {
  return tls === null ? null : new CertificateWatch({ tls, clock: systemClock, lanes, log })
}

async function open(options: GatewayOptions, parts: Parts, recovery: RecoveryReport): Promise<Gateway> {
  const { snapshot, version } = options
  const { audit, lanes, admin, clock, failed } = parts
  const { port: adminPort } = await admin.listen(snapshot.server.admin.host, snapshot.server.admin.port)
  const [uws = ''] = await Promise.all(lanes.map((lane) => lane.prepared()))
  const inferencePort = await listenAll(lanes, snapshot.server.listen)
  parts.isListening = true
  const at = clock.wall()
  const { node } = process.versions
  audit.event('start', {
    at,
    version,
    node,
    platform: `${process.platform} ${process.arch}`,
    lanes: lanes.length,
    pid: process.pid,
  })
  const { generation, hash } = snapshot
  audit.event('config', { at, generation, hash, file: options.configFile })
  for (const problem of parts.readiness.problems()) options.log(problem)
  let stopping: Promise<{ abandoned: number }> | undefined
  parts.certificates?.start()
  parts.probes.start()
  const renewCertificate = async () => parts.certificates?.renew()
  const stop = (cause: string) => {
    stopping ??= stopInOrder(parts, { cause, graceMs: snapshot.server.graceMs })
    return stopping
  }
  return { inferencePort, adminPort, uws, recovery, failed, renewCertificate, stop }
}

/** All lanes on one port. The server shares only a port it was told, so a free one is found before. */
async function listenAll(lanes: readonly LaneThread[], at: HostPort): Promise<number> {
  const shared = at.port === 0 && lanes.length > 1 ? { ...at, port: await freePort(at.host) } : at
  const [port = 0] = await Promise.all(lanes.map((lane) => lane.listen(shared)))
  return port
}

function readinessOf(parts: Parts): Readiness {
  const checks = [
    { name: 'port', ok: parts.isListening, detail: parts.isListening ? 'open' : 'not open yet' },
    { name: 'log', ...logCheck(parts) },
    ...parts.readiness.checks(),
  ]
  return { ready: !parts.isDraining && checks.every(({ ok }) => ok), draining: parts.isDraining, checks }
}

function logCheck({ isLogLost, lanesWithoutLog }: Parts): { ok: boolean; detail: string } {
  if (isLogLost) return { ok: false, detail: 'lost; see the log of the process' }
  return lanesWithoutLog.size === 0 ? { ok: true, detail: 'writing' } : { ok: false, detail: LOG_IS_GONE }
}

const LOG_IS_GONE = 'records cannot be written (is the disk full?); callers get 503 audit-unavailable'
const LOG_IS_BACK = 'records are written again'

/** Promise.withResolvers, which Node 20 lacks. */
function withResolvers<T>(): { promise: Promise<T>; resolve(value: T): void } {
  let settle: (value: T) => void = () => {}
  const promise = new Promise<T>((resolve) => {
    settle = resolve
  })
  return { promise, resolve: (value) => settle(value) }
}
