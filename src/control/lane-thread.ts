/**
 * The control thread's handle on one lane's thread: starts it, tells it to drain, and passes on what it announces.
 * Never terminates it; a lane that does not end by itself is a bug worth seeing.
 */
import { Worker } from 'node:worker_threads'
import type { ServerDescriptor } from '../domain/lane-server.ts'
import { assert } from '../kernel/assert.ts'
import { entryBeside } from '../kernel/entry.ts'
import type { FromLane, LaneStart, LogState, ToLane, VersionState } from '../lane-messages.ts'
import type { LaneAnnouncement } from '../observe/announcements.ts'

export interface LaneThreadParts {
  readonly start: LaneStart
  /** Another entry than the lane's own: of tests that break lanes. */
  readonly entry?: URL | undefined
  /** Shared-memory readings and breaker changes, as they are announced. */
  onReading(announcement: LaneAnnouncement): void
  onVersions(states: readonly VersionState[]): void
  /** Whether the lane's records can be written, when that changes. */
  onLog(state: LogState): void
  /** What the operator should know of an endpoint or its name. */
  onWords(words: string): void
  /** An error ended a request; the lane goes on as before. */
  onBug(report: string): void
  /** An error that nobody caught; the lane goes on until it is drained. */
  onStricken(report: string): void
  /** Connections must go to this server from now on; resolves when they do. */
  onServer(server: ServerDescriptor): Promise<void>
  /** The lane could not start, or ended although nobody asked. */
  onFailure(error: Error): void
}

export class LaneThread {
  readonly #worker: Worker
  readonly #parts: LaneThreadParts
  readonly #ended: Promise<undefined>
  #waiting:
    | { kind: FromLane['kind']; resolve(message: FromLane): void; reject(error: Error): void }
    | undefined
  #draining = false
  #onCertificate: ((problem: string | null) => void) | undefined

  constructor(parts: LaneThreadParts) {
    this.#parts = parts
    const { entry = entryBeside(import.meta.url, '../lane'), start } = parts
    this.#worker = new Worker(entry, { workerData: start, name: `lane-${start.lane}` })
    this.#worker.on('message', (message: FromLane) => this.#receive(message))
    this.#worker.on('error', (error) => this.#fail(error as Error))
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.#certificateAnswered(`lane ${parts.start.lane} has ended`)
        if (!this.#draining) this.#fail(new Error(`lane ${parts.start.lane} ended with code ${code}`))
        resolve(undefined)
      })
    })
  }

  /** Resolves when the lane's parts are made; to the build of the server that it loaded, and the server itself. */
  async prepared(): Promise<{ readonly uws: string; readonly server: ServerDescriptor }> {
    const message = await this.#next('prepared')
    assert(message.kind === 'prepared', 'it is what was waited for')
    return message
  }

  /** Resolves when connections get what the files hold now, to null; or to why they do not. One at a time. */
  renewCertificate(): Promise<string | null> {
    assert(this.#onCertificate === undefined, 'the last renewal has been answered')
    return new Promise((resolve) => {
      this.#onCertificate = resolve
      this.#send({ kind: 'renew-certificate' })
    })
  }

  async #renewed({ server, problem }: Extract<FromLane, { kind: 'certificate' }>): Promise<void> {
    if (server !== null) await this.#parts.onServer(server)
    this.#certificateAnswered(problem)
  }

  #certificateAnswered(problem: string | null): void {
    this.#onCertificate?.(problem)
    this.#onCertificate = undefined
  }

  /** Resolves when the thread has ended; to the number of requests that did not fit in the grace. */
  async drain(graceMs: number, quietMs: number): Promise<number> {
    this.#draining = true
    this.#send({ kind: 'drain', graceMs, quietMs })
    // A lane that could not start, or died, has nothing left to finish and will say nothing.
    const message = await Promise.race([this.#next('drained'), this.#ended])
    await this.#ended
    return message?.kind === 'drained' ? message.abandoned : 0
  }

  #send(message: ToLane): void {
    this.#worker.postMessage(message)
  }

  #next(kind: FromLane['kind']): Promise<FromLane> {
    return new Promise((resolve, reject) => {
      this.#waiting = { kind, resolve, reject }
    })
  }

  #receive(message: FromLane): void {
    if (message.kind === 'reading') this.#parts.onReading(message.announcement)
    else if (message.kind === 'versions') this.#parts.onVersions(message.states)
    else if (message.kind === 'log') this.#parts.onLog(message.state)
    else if (message.kind === 'name') this.#parts.onWords(nameWords(message))
    else if (message.kind === 'endpoint') this.#parts.onWords(standingWords(message))
    else if (message.kind === 'pressure') this.#parts.onWords(pressureWords(message))
    else if (message.kind === 'unnoted') this.#parts.onWords(unnotedWords(message))
    else if (message.kind === 'certificate') void this.#renewed(message)
    else if (message.kind === 'bug') this.#parts.onBug(message.report)
    else if (message.kind === 'stricken') this.#parts.onStricken(message.report)
    else if (message.kind === 'cannot-start') this.#fail(new Error(message.problem))
    else if (this.#waiting?.kind === message.kind) {
      this.#waiting.resolve(message)
      this.#waiting = undefined
    }
  }

  #fail(error: Error): void {
    // A lane that is being stopped because another one could not start says so, too: its end is what is waited for.
    if (this.#draining) return
    if (this.#waiting === undefined) this.#parts.onFailure(error)
    else this.#waiting.reject(error)
    this.#waiting = undefined
  }
}

function nameWords({ name, problem, isKept }: Extract<FromLane, { kind: 'name' }>): string {
  if (problem === null) return `${name} resolves again`
  return `${name} does not resolve (${problem})${isKept ? '; its last addresses stay in use' : ''}`
}

function standingWords(message: Extract<FromLane, { kind: 'endpoint' }>): string {
  const { endpoint, model, version, forMs } = message
  const what = `endpoint ${endpoint} of model ${model}, version ${version}`
  if (forMs === 0) return `${what} is used again`
  return `${what} keeps failing: others are preferred for ${Math.round(forMs / 1000)} s`
}

const WITHOUT = [
  'nothing is shed',
  'no shadow copies are sent',
  'no shadow copies, nobody waits for a place, models of low priority are refused',
  'new requests are refused',
] as const

function pressureWords({ to, from, why }: Extract<FromLane, { kind: 'pressure' }>): string {
  return `pressure level ${to}, was ${from} (${why}): ${WITHOUT[to]}`
}

function unnotedWords({ requests }: Extract<FromLane, { kind: 'unnoted' }>): string {
  return `${requests} requests could not be noted before they were sent on: if this process dies now, the log may lack them`
}
