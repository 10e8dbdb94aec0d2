/**
 * The one place where the control thread's parts are made and introduced to each other: the log, the
 * lanes, the admin server. Nothing here is on a request's path.
 *
 * `startGateway` resolves when callers can be served, or to a problem in words; it leaves nothing
 * running behind when it could not start. The order of stopping is in lifecycle.ts.
 */
import { ConnectionCounts } from './accept/connection-counts.ts'
import { HEADER_SLACK_BYTES, stateHeaderLimit } from './accept/load-uws.ts'
import { type AuditWriter, openAudit } from './audit/open-audit.ts'
import { accessRecorder } from './audit/record-access.ts'
import type { RecoveryReport } from './audit/records/notes.ts'
import { makeCallerMemory } from './callers/caller-memory.ts'
import { AdminServer } from './control/admin/admin-server.ts'
import type { AdminParts, Readiness, Resource } from './control/admin/resource.ts'
import { decision } from './control/admin/resources/decision.ts'
import { endpoints } from './control/admin/resources/endpoints.ts'
import { checkpoint, proof } from './control/admin/resources/proof.ts'
import { CertificateWatch } from './control/certificate-watch.ts'
import { EntranceThread } from './control/entrance-thread.ts'
import { LaneCrew } from './control/lane-crew.ts'
import { LaneThread } from './control/lane-thread.ts'
import { LanesLog } from './control/lanes-log.ts'
import { LogKeeping } from './control/log-keeping.ts'
import { logMetrics } from './control/log-metrics.ts'
import { bodiesShare, memoryBytes } from './control/memory-share.ts'
import { probePort } from './control/port-probe.ts'
import { EndpointHealth } from './control/probes/endpoint-health.ts'
import { endpointMetrics } from './control/probes/endpoint-metrics.ts'
import { descriptorsMax, type SocketShares, socketShares } from './control/socket-shares.ts'
import { VersionReadiness } from './control/version-readiness.ts'
import type { Snapshot } from './domain/routes.ts'
import { boardShapeOf, EndpointBoard } from './forward/balance/endpoint-board.ts'
import { CONNECTIONS_MAX } from './forward/pool.ts'
import { Resolver } from './forward/resolver.ts'
import { systemChance } from './kernel/chance.ts'
import { systemClock } from './kernel/clock.ts'
import { seatsOf } from './kernel/lane-seats.ts'
import { laneShare } from './kernel/lane-share.ts'
import { type Running, stopInOrder } from './lifecycle.ts'
import { BreakerMemory } from './observe/breaker-memory.ts'
import { makeLimits, openLimits } from './observe/limits-memory.ts'
import { Observatory } from './observe/observatory.ts'
import { retryMemory } from './observe/retry-budget.ts'

export interface GatewayOptions {
  readonly snapshot: Snapshot
  /** Of this program. */
  readonly version: string
  /** As the user named it, for the log. */
  readonly configFile: string
  /** What an operator should know, one line at a time. */
  log(line: string): void
  /** Another entry of the lanes' threads than lane.ts: of tests that break lanes. */
  readonly laneEntry?: URL
}

export interface Gateway {
  readonly inferencePort: number
  readonly adminPort: number
  /** Build of the HTTP server that loaded. */
  readonly uws: string
  readonly recovery: RecoveryReport
  /**
   * Finishes what is under way within the grace, then ends every thread; `isUrgent`: without `drain_delay` before. The
   * second call waits for the first.
   */
  stop(cause: string, isUrgent?: boolean): Promise<{ readonly abandoned: number }>
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
    (server.sharesPort ? null : await probePort(server.listen, 'server.listen')) ??
    (await probePort(server.admin, 'server.admin'))
  if (taken !== null) return { ok: false, problem: taken }
  const { digestBytesMax, retentionMs, isHeld } = snapshot.audit
  const opened = await openAudit({
    dataDir: server.dataDir,
    lanes: server.lanes,
    seats: seatsOf(server.lanes),
    clock: systemClock,
    digestBytesMax,
    retentionMs,
    isHeld,
    warn: options.log,
  })
  if ('kind' in opened) return { ok: false, problem: opened.message }
  const running = makeParts(options, opened.audit, { ...shares, bodyBytes: bodies.bytes })
  try {
    return { ok: true, gateway: await open(options, running, opened.recovery) }
  } catch (error) {
    await stopInOrder(running, { cause: 'could not start', drainDelayMs: 0, graceMs: 0 })
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
  readonly crew: LaneCrew
  readonly entrance: EntranceThread
  readonly lanesLog: LanesLog
  readonly readiness: VersionReadiness
  readonly probes: EndpointHealth
  readonly admin: AdminServer
  readonly keeping: LogKeeping
  readonly failed: Promise<Error>
}

/** The control thread reads what lanes share, and holds no place of its own. */
const READER = 0

const AT_FIRST = { isDraining: false, isListening: false, isLogLost: false }

function makeParts(options: GatewayOptions, audit: AuditWriter, shares: Shares): Parts {
  const { snapshot, version, log } = options
  const { promise: failed, resolve: fail } = withResolvers<Error>()
  const board = new EndpointBoard(boardShapeOf(snapshot))
  const health = watchEndpoints(snapshot, { board, audit, log, atOnce: shares.probes })
  const readiness = new VersionReadiness(snapshot, health)
  const certificates = watchCertificates(snapshot, () => crew.threads, log)
  const joint = makeJoint(snapshot, board)
  const lanesLog = new LanesLog()
  const observatory = new Observatory({
    snapshot: () => snapshot,
    breakers: joint.breakers,
    clock: systemClock,
    version,
    limits: openLimits(joint.limits, snapshot, READER),
    more: () => [
      ...logMetrics(() => audit.counts(), lanesLog),
      ...keeping.metrics,
      ...crew.metrics,
      ...(certificates?.metrics ?? []),
      ...endpointMetrics({ snapshot, board, health }),
    ],
  })
  stateHeaderLimit(snapshot.server.headerBytesMax + HEADER_SLACK_BYTES)
  const entrance = makeEntrance(snapshot, joint, fail)
  const keeping = new LogKeeping(snapshot, audit, log)
  const needs = { audit, keeping, entrance, joint, observatory, readiness, lanesLog, fail }
  const crew = makeCrew(options, shares, needs)
  const admin = makeAdmin(options, {
    observatory,
    readiness: () => readinessOf(running),
    connectionsMax: shares.admin,
    more: [endpoints({ snapshot, board, health, clock: systemClock }), ...logResources(snapshot, audit)],
  })
  const parts = {
    clock: systemClock,
    audit,
    keeping,
    crew,
    entrance,
    certificates,
    readiness,
    admin,
    failed,
    probes: health,
  }
  const running: Parts = { ...parts, ...AT_FIRST, lanesLog }
  audit.onFatal((problem) => loseLog(running, problem, fail))
  return running
}

function loseLog(parts: Parts, problem: string, fail: (error: Error) => void): void {
  parts.isLogLost = true
  fail(new Error(problem))
}

/** What the admin API tells of the log. */
function logResources({ server }: Snapshot, audit: AuditWriter): Resource[] {
  const onAccess = accessRecorder(audit, server.dataDir, systemClock)
  const { dataDir } = server
  return [decision(dataDir, onAccess), proof(dataDir, onAccess), checkpoint(dataDir)]
}

function makeEntrance(
  { server }: Snapshot,
  { connections }: Joint,
  fail: (error: Error) => void,
): EntranceThread {
  const { headerBytesMax, tls } = server
  return new EntranceThread({ headerBytesMax, isSecure: tls !== null, connections }, fail)
}

interface Shares extends SocketShares {
  /** Of bodies under way, over all lanes. */
  readonly bodyBytes: number
}

/** Memory that the lanes' threads have in common. */
function makeJoint(snapshot: Snapshot, board: EndpointBoard) {
  const { lanes } = snapshot.server
  return {
    breakers: new BreakerMemory(snapshot).create(),
    retries: retryMemory(snapshot.models.size, lanes),
    connections: ConnectionCounts.memoryFor(lanes),
    callerMemory: makeCallerMemory(snapshot),
    endpoints: board.buffer,
    limits: makeLimits(snapshot),
  }
}

type Joint = ReturnType<typeof makeJoint>

interface CrewNeeds {
  readonly audit: AuditWriter
  readonly keeping: LogKeeping
  readonly entrance: EntranceThread
  readonly joint: Joint
  readonly observatory: Observatory
  readonly readiness: VersionReadiness
  readonly lanesLog: LanesLog
  fail(error: Error): void
}

function makeCrew(options: GatewayOptions, shares: Shares, needs: CrewNeeds): LaneCrew {
  const { snapshot, version, log, laneEntry } = options
  const { audit, keeping, entrance, joint, observatory, readiness, lanesLog, fail } = needs
  const { lanes, graceMs } = snapshot.server
  const own = {
    sockets: { clients: laneShare(shares.clients, lanes), endpoints: laneShare(shares.endpoints, lanes) },
    bodyBytesMax: laneShare(shares.bodyBytes, lanes),
  }
  const logParts = (seat: number) => ({ journal: audit.laneParts(seat), capture: keeping.partsOf(seat) })
  return new LaneCrew({
    lanes,
    clock: systemClock,
    graceMs,
    entrance,
    makeThread: (lane, seat, ears) =>
      new LaneThread({
        ...ears,
        start: { lane, lanes, seat, version, snapshot, ...logParts(seat), ...own, ...joint },
        entry: laneEntry,
        onReading: (announcement) => observatory.take(seat, announcement),
        onVersions: (states) => readiness.update(lane, states),
        onLog: (state) => log(`lane ${lane}: ${lanesLog.set(seat, state)}`),
        onWords: (words) => log(`lane ${lane}: ${words}`),
        onBug: (report) => log(`a bug in lane ${lane}: ${report}`),
      }),
    onReplaced: (lane, report) => {
      audit.event('lane', { at: systemClock.wall(), lane, cause: placeOf(report) })
      log(`lane ${lane}: another thread has taken its place; the old one finishes what it has`)
    },
    onEnded: (lane, seat) => {
      log(`lane ${lane}: its old thread has ended`)
      lanesLog.forget(seat)
      observatory.retire(seat)
      openLimits(joint.limits, snapshot, seat).places.reclaim(seat)
    },
    onTrouble: (lane, words) => log(`lane ${lane}: ${words}`),
    onFailure: fail,
  })
}

/** `TypeError at handle (pipeline.js:40:3)`: what may stand in the log for ever. */
function placeOf(report: string): string {
  const [, name = 'an error'] = /^(\w{1,40}Error)\b/.exec(report) ?? []
  const [, place = ''] = /\n\s+at ([^\n]{1,300})/.exec(report) ?? []
  return place === '' ? name : `${name} at ${place.replace(/\(?[^ ()]*\//, '(')}`
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
  const { audit, crew, entrance, admin, clock, failed } = parts
  const { port: adminPort } = await admin.listen(snapshot.server.admin.host, snapshot.server.admin.port)
  const uws = await crew.prepared()
  const inferencePort = await entrance.listen(snapshot.server.listen)
  parts.isListening = true
  const at = clock.wall()
  const { node } = process.versions
  audit.event('start', {
    at,
    version,
    node,
    platform: `${process.platform} ${process.arch}`,
    lanes: crew.size,
    pid: process.pid,
  })
  const { generation, hash } = snapshot
  audit.event('config', { at, generation, hash, file: options.configFile })
  parts.keeping.start()
  for (const problem of parts.readiness.problems()) options.log(problem)
  let stopping: Promise<{ abandoned: number }> | undefined
  parts.certificates?.start()
  parts.probes.start()
  audit.keepHouse()
  const renewCertificate = async () => parts.certificates?.renew()
  const { graceMs, drainDelayMs } = snapshot.server
  const stop = (cause: string, isUrgent = false) => {
    stopping ??= stopInOrder(parts, { cause, graceMs, drainDelayMs: isUrgent ? 0 : drainDelayMs })
    return stopping
  }
  return { inferencePort, adminPort, uws, recovery, failed, renewCertificate, stop }
}

function readinessOf(parts: Parts): Readiness {
  const checks = [
    { name: 'port', ok: parts.isListening, detail: parts.isListening ? 'open' : 'not open yet' },
    { name: 'log', ...logCheck(parts) },
    ...parts.readiness.checks(),
  ]
  return { ready: !parts.isDraining && checks.every(({ ok }) => ok), draining: parts.isDraining, checks }
}

function logCheck({ isLogLost, lanesLog }: Parts): { ok: boolean; detail: string } {
  if (isLogLost) return { ok: false, detail: 'lost; see the log of the process' }
  return lanesLog.check()
}

/** Promise.withResolvers, which Node 20 lacks. */
function withResolvers<T>(): { promise: Promise<T>; resolve(value: T): void } {
  let settle: (value: T) => void = () => {}
  const promise = new Promise<T>((resolve) => {
    settle = resolve
  })
  return { promise, resolve: (value) => settle(value) }
}
