/**
 * One data-plane thread: makes the parts of the request path, listens, and ends in order. Runs as a
 * worker thread; everything it needs comes with its start, and nothing here waits for another thread
 * while a request is served.
 *
 * A lane ends by closing its server and letting its loop empty. It is never terminated from outside:
 * that would abort the whole process (the server's native code is not made for it).
 */
import { setTimeout as pause } from 'node:timers/promises'
import { BroadcastChannel, parentPort, workerData } from 'node:worker_threads'
import { BEAT_EVERY_MS, ConnectionCounts } from './accept/connection-counts.ts'
import { Listener } from './accept/listener.ts'
import { HEADER_SLACK_BYTES, loadUws, type Uws } from './accept/load-uws.ts'
import { Capturer } from './audit/capture/capturer.ts'
import { InflightFile } from './audit/inflight/inflight-file.ts'
import { LaneJournal } from './audit/lane-journal.ts'
import { AnswerCache } from './callers/answer-cache.ts'
import type { PeerMessage } from './callers/peer-answers.ts'
import { RateGate } from './callers/rate-gate.ts'
import { Repeats } from './callers/repeats.ts'
import type { PressureLevel, PressureView } from './domain/pressure.ts'
import type { LocalVersion, Model, Version } from './domain/routes.ts'
import { boardShapeOf, EndpointBoard, type Side } from './forward/balance/endpoint-board.ts'
import type { StandingChange } from './forward/balance/peers.ts'
import { Forwarder, type ForwarderParts } from './forward/forwarder.ts'
import { Resolver } from './forward/resolver.ts'
import { SocketBudget } from './forward/socket-budget.ts'
import { assert } from './kernel/assert.ts'
import { systemChance } from './kernel/chance.ts'
import { type Clock, systemClock } from './kernel/clock.ts'
import { laneShare } from './kernel/lane-share.ts'
import { MemoryBudget } from './kernel/memory-budget.ts'
import { RequestIds } from './kernel/request-id.ts'
import { Sweep } from './kernel/sweep.ts'
import type { FromLane, LaneStart, LogState, ToLane } from './lane-messages.ts'
import { Hedging } from './observe/hedging.ts'
import { Limiter } from './observe/limiter.ts'
import { openLimits } from './observe/limits-memory.ts'
import { Observer } from './observe/observer.ts'
import { type PressureChange, PressureGauge } from './observe/pressure-gauge.ts'
import { retryBudgets } from './observe/retry-budget.ts'
import { Vitals } from './observe/vitals.ts'
import { AsksOfTurn } from './passage/asks-of-turn.ts'
import type { Lane } from './passage/lane-parts.ts'
import { Places } from './passage/places.ts'
import { SHADOW_BODIES_BYTES_MAX, ShadowBodies } from './passage/shadow-bodies.ts'
import { ShadowLosses } from './passage/shadow-losses.ts'
import { READ_COST, ShadowPace } from './passage/shadow-pace.ts'
import { handle } from './pipeline.ts'
import { PROTOCOLS } from './protocols/index.ts'
import { BodyCapture } from './record/body-capture.ts'
import { Recorder } from './record/recorder.ts'
import { UnreadConnections } from './record/unread-connections.ts'
import { Comparer } from './score/comparer.ts'
import { Scorer } from './score/scorer.ts'

/** How often a lane clears the notes of requests that have their records, in ms. */
const NOTES_TIDY_MS = 1000
/** How often a lane looks whether its records can be written, with traffic or without, in ms. */
const LOG_LOOK_MS = 500
/** Requests of a client that may be under way: its own, and one it left that is finished for the repeat to come. */
const EACH_CLIENT = 2
/** How often a lane reads how short of time and memory it is, in ms. */
const PRESSURE_LOOK_MS = 100
/** How often a draining lane looks whether its work is done, in ms. */
const DRAIN_LOOK_MS = 10
/** Connections that were handed over just before come within a turn. */
const LOOKS_MIN = 2

const start = workerData as LaneStart
assert(parentPort !== null, 'a lane runs as a worker thread')
const port = parentPort
const tell = (message: FromLane): void => port.postMessage(message)

const { snapshot, lanes } = start

// Nobody knows what an error left behind that nobody caught. It must not take other callers' answers with it, so the
// lane goes on until another has taken its place (control/lane-crew.ts), and then ends like one that is stopped.
process.on('uncaughtException', tellStricken)
process.on('unhandledRejection', tellStricken)

const loaded = await loadUws(snapshot.server.headerBytesMax + HEADER_SLACK_BYTES)

if (loaded.kind === 'problem') tell({ kind: 'cannot-start', problem: loaded.message })
else await run(loaded.uws, loaded.build)

async function run(uws: Uws, build: string): Promise<void> {
  const lane = makeLane()
  lane.scorer.onState = () => tell({ kind: 'versions', states: versionStates(lane) })
  await lane.scorer.start()
  tell({ kind: 'versions', states: versionStates(lane) })
  const unread = new UnreadConnections(lane.recorder, start.lane)
  const counts = new ConnectionCounts(start.connections)
  counts.set(start.seat, 0)
  const beat = () => counts.beat(start.seat, systemClock.now())
  beat()
  setInterval(beat, BEAT_EVERY_MS).unref()
  const listener = new Listener({
    uws,
    connectionsMax: start.sockets.clients,
    headerBytesMax: snapshot.server.headerBytesMax,
    chunkedAccepted: snapshot.server.chunkedAccepted,
    trust: snapshot.server.trust,
    tls: snapshot.server.tls,
    sweep: lane.sweep,
    memory: new MemoryBudget(start.bodyBytesMax),
    onRequest: (incoming) => handle(incoming, lane),
    onConnection: (what) => lane.observer.connection(what),
    onCount: (open) => counts.set(start.seat, open),
    onUnread: (address) => {
      lane.observer.connectionUnread()
      unread.ended(address, lane.clock.now(), lane.clock.wall())
    },
  })
  port.on('message', (message: ToLane) => {
    if (message.kind === 'renew-certificate') renewCertificate(listener)
    else void drain(listener, lane, unread, message)
  })
  watchLog(lane, unread)
  watchNotes(lane)
  watchPressure(lane)
  try {
    tell({ kind: 'prepared', uws: build, server: listener.open() })
  } catch (error) {
    tell({ kind: 'cannot-start', problem: (error as Error).message })
  }
}

/** Looking is also what tries a disk again that was full, when no request comes to do it. */
function watchLog(lane: Lane, unread: UnreadConnections): void {
  let state: LogState = 'writing'
  const timer = setInterval(() => {
    unread.flush(lane.clock.wall())
    if (lane.work.refusing) return clearInterval(timer)
    const seen = logState(lane)
    if (seen === state) return
    state = seen
    tell({ kind: 'log', state })
  }, LOG_LOOK_MS)
  timer.unref()
}

function watchNotes(lane: Lane): void {
  let told = 0
  const timer = setInterval(() => {
    if (lane.work.refusing) clearInterval(timer)
    else lane.recorder.tidy()
    const requests = lane.recorder.unnoted - told
    if (requests > 0) tell({ kind: 'unnoted', requests })
    told += requests
  }, NOTES_TIDY_MS)
  timer.unref()
}

function logState({ recorder }: Lane): LogState {
  const isWritten = recorder.look()
  if (!recorder.available(snapshot.audit.strictest)) return 'refusing'
  return isWritten ? 'writing' : 'losing'
}

function watchPressure(lane: Lane): void {
  const timer = setInterval(() => {
    if (lane.work.refusing) clearInterval(timer)
    else lane.pressure.read()
  }, PRESSURE_LOOK_MS)
  timer.unref()
}

function makeLane(): Lane {
  const clock = systemClock
  const chance = systemChance
  const sweep = new Sweep(clock)
  const sockets = new SocketBudget(start.sockets.endpoints)
  const resolver = new Resolver({ clock, onEvent: (event) => tell({ kind: 'name', ...event }) })
  const recorder: Recorder = makeRecorder(clock, () => pressure.level)
  const vitals = new Vitals({
    snapshot,
    breakers: start.breakers,
    seat: start.seat,
    chance,
    clock,
    announce: (announcement) => tell({ kind: 'reading', announcement }),
    onBreaker: ({ why, epoch: _, ...change }) => recorder.event('breaker', { ...change, cause: why }),
  })
  const observer = new Observer(vitals)
  const pressure = new PressureGauge(clock, (change) => pressureChanged(change, observer, recorder))
  const limits = openLimits(start.limits, snapshot, start.seat)
  const onStanding = (change: StandingChange) => standingChanged(change, observer, recorder)
  const scorer = new Scorer({
    snapshot,
    clock,
    sweep,
    threads: laneShare(snapshot.scoring.threads, lanes),
    queueMax: laneShare(snapshot.scoring.queueMax, lanes),
  })
  return {
    version: start.version,
    clock,
    chance,
    ids: new RequestIds(),
    sweep,
    protocols: PROTOCOLS,
    snapshot: { current: snapshot },
    vitals,
    retryBudgets: retryBudgets(
      byIndex(snapshot.models.values()).map(({ retry }) => retry.budget),
      { memory: start.retries, seat: start.seat, lanes },
    ),
    hedging: snapshot.versions.map((version) => hedgingOf(version, vitals, pressure)),
    limiter: new Limiter({ ...limits, pressure, sweep, slab: vitals.slab }),
    pressure,
    ...makeCallers(clock, sweep, observer),
    observer,
    ...makeForwarders({ clock, sweep, resolver, sockets }, onStanding),
    scorer,
    comparer: new Comparer({ pool: scorer.pool, clock }),
    recorder,
    asks: new AsksOfTurn(() => recorder.writeNotes(), tellBug),
    shadowPlaces: new Places(lanes),
    shadowPace: new ShadowPace(clock, sweep),
    shadowLosses: new ShadowLosses(clock),
    shadowBodies: new ShadowBodies(Math.min(SHADOW_BODIES_BYTES_MAX, start.bodyBytesMax / 2)),
    sparePlaces: new Places(lanes),
    work: { draining: false, refusing: false, count: 0, lingering: new Set() },
    onBug: tellBug,
  }
}

function makeRecorder(clock: Clock, pressure: () => PressureLevel): Recorder {
  const { journal, sockets, capture: parts } = start
  const inflight = new InflightFile(journal, clock, { slotsMax: EACH_CLIENT * sockets.clients })
  const capture = parts === null ? null : new BodyCapture({ capturer: new Capturer(parts), pressure })
  return new Recorder({ journal: new LaneJournal(journal, clock), inflight, capture })
}

/** What shadows find out about endpoints is kept apart from what callers do. */
function makeForwarders(
  parts: Pick<ForwarderParts, 'clock' | 'sweep' | 'resolver' | 'sockets'>,
  onStanding: (change: StandingChange) => void,
): Pick<Lane, 'forwarder' | 'shadowForwarder'> {
  const board = new EndpointBoard(boardShapeOf(snapshot), start.endpoints)
  const share = (side: Side) => ({ board, lane: start.seat, side })
  return {
    forwarder: new Forwarder({ ...parts, onStanding, endpoints: share('serving') }),
    shadowForwarder: new Forwarder({ ...parts, readBufferBytes: READ_COST, endpoints: share('shadow') }),
  }
}

function hedgingOf(version: Version, { slab, view }: Vitals, pressure: PressureView): Hedging | null {
  const { retry, breaker } = snapshot.models.get(version.model)!
  if (retry.hedge === null || version.kind === 'local') return null
  return new Hedging({
    settings: retry.hedge,
    isWell: (now) => pressure.level === 0 && (!breaker.enforce || view.breakerOf(version, now) === 'closed'),
    onRefused: () => slab.hedge(version.index, 'over-budget'),
    onDelay: (ms) => slab.hedgeAfter(version.index, ms),
  })
}

/** What is counted and kept for each caller. */
function makeCallers(
  clock: Clock,
  sweep: Sweep,
  observer: Observer,
): Pick<Lane, 'rateGate' | 'repeats' | 'answerCache'> {
  return {
    rateGate: new RateGate({ limits: snapshot.rates.length, memory: start.callerMemory }),
    repeats: makeRepeats(clock, sweep, observer),
    answerCache: new AnswerCache({
      snapshot,
      clock,
      onChange: (...change) => observer.kept('cache', ...change),
    }),
  }
}

/** One lane keeps an answer that another is asked for: they speak over a channel of their own, which only then is used. */
function makeRepeats(clock: Clock, sweep: Sweep, observer: Observer): Repeats {
  const { claims, seed } = start.callerMemory
  const channel = claims.byteLength === 0 ? null : new BroadcastChannel(`modelgate-answers-${seed}`)
  const repeats = new Repeats({
    snapshot,
    memory: start.callerMemory,
    lane: start.seat,
    clock,
    sweep,
    send: (message) => channel?.postMessage(message),
    onChange: (...change) => observer.kept('repeats', ...change),
  })
  if (channel !== null) {
    channel.unref()
    channel.onmessage = (event) => repeats.receive((event as { data: PeerMessage }).data)
  }
  return repeats
}

function standingChanged(change: StandingChange, observer: Observer, recorder: Recorder): void {
  const { version, endpoint, isOut, forMs, cause } = change
  if (isOut) observer.endpointPutOut(version)
  const what = { endpoint, model: version.model, version: version.name, forMs }
  recorder.event('endpoint', { at: systemClock.wall(), lane: start.lane, ...what, out: isOut, cause })
  tell({ kind: 'endpoint', ...what })
}

function pressureChanged({ from, to, why }: PressureChange, observer: Observer, recorder: Recorder): void {
  observer.pressure(to)
  recorder.event('pressure', { at: systemClock.wall(), lane: start.lane, from, to, cause: why })
  tell({ kind: 'pressure', from, to, why })
}

function byIndex(models: Iterable<Model>): readonly Model[] {
  return [...models].sort((one, other) => one.index - other.index)
}

function tellBug(error: unknown): void {
  tell({ kind: 'bug', report: reportOf(error) })
}

function tellStricken(error: unknown): void {
  tell({ kind: 'stricken', report: reportOf(error) })
}

function reportOf(error: unknown): string {
  return error instanceof Error ? String(error.stack) : String(error)
}

function versionStates(lane: Lane) {
  const local = snapshot.versions.filter((version): version is LocalVersion => version.kind === 'local')
  return local.map((version) => {
    const state = lane.scorer.state(version)
    const [detail, reason] = state.ready ? ['', ''] : [state.fault.message, state.fault.detail]
    return { model: version.model, version: version.name, ready: state.ready, detail, reason }
  })
}

function renewCertificate(listener: Listener): void {
  try {
    tell({ kind: 'certificate', server: listener.renewCertificate(), problem: null })
  } catch (error) {
    tell({ kind: 'certificate', server: null, problem: (error as Error).message })
  }
}

/**
 * Quiet is: nothing under way, and no connection left, or none that a request came on for `quietMs`. A
 * request may be on its way on a kept connection when the stop begins; it is answered, and the answer
 * ends the connection. Whoever is silent that long is taken to be idle. Counted in looks, each in a turn of its own,
 * because a machine that is busy may let time pass without anything having been read.
 */
async function untilQuiet(listener: Listener, lane: Lane, until: number, quietMs: number): Promise<void> {
  let open = listener.connections
  let quietLooks = 0
  while (lane.clock.now() < until) {
    if (lane.work.count > 0 || listener.connections !== open) quietLooks = 0
    else if (quietLooks >= (open === 0 ? LOOKS_MIN : quietMs / DRAIN_LOOK_MS)) return
    open = listener.connections
    quietLooks += 1
    await pause(DRAIN_LOOK_MS)
  }
}

/** Finishes what is under way, then lets go of everything that keeps the thread alive. */
async function drain(
  listener: Listener,
  lane: Lane,
  unread: UnreadConnections,
  { graceMs, quietMs }: Extract<ToLane, { kind: 'drain' }>,
): Promise<void> {
  const until = lane.clock.now() + graceMs
  lane.work.draining = true
  await untilQuiet(listener, lane, until, quietMs)
  lane.work.refusing = true
  const abandoned = lane.work.count
  lane.comparer.close()
  await lane.scorer.close()
  lane.forwarder.close()
  lane.shadowForwarder.close()
  lane.sweep.stop()
  lane.pressure.stop()
  unread.close(lane.clock.wall())
  listener.close()
  for (const leave of [...lane.work.lingering]) leave()
  lane.recorder.close()
  tell({ kind: 'drained', abandoned })
  port.close()
}
