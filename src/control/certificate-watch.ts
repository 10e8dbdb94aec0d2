/**
 * Notices that the files of `server.tls` changed and has every lane take them: connections from then on get
 * the new certificate, open ones go on. It looks every second and when it is told to; what still changes between
 * two looks is left alone. A pair that cannot serve is refused, loudly and once, and the one in use stays;
 * what is refused is looked at again, because a file may only be late.
 *
 * Runs on the control thread. The key is read to prove that it fits and is neither kept nor named in words.
 */
import type { ServerTls } from '../domain/routes.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Metric } from '../observe/metric-table.ts'
import { readPair, stampOf } from './certificate-files.ts'
import { dateText, validityProblem } from './config/pem.ts'

const LOOK_MS = 1000

export interface CertificateWatchParts {
  readonly tls: ServerTls
  readonly clock: Clock
  readonly lanes: () => readonly { renewCertificate(): Promise<string | null> }[]
  log(line: string): void
}

type Result = 'taken' | 'refused'

export class CertificateWatch {
  readonly #parts: CertificateWatchParts
  readonly #results: Record<Result, number> = { taken: 0, refused: 0 }
  /** How the files looked that are in use; and at the last look. */
  #taken: string
  #seen: string
  /** How the files looked that a lane could not use: not tried again until they change. */
  #unusable = ''
  /** Of the contents in use. */
  #digest: string
  #expiresAt: number
  #lastProblem = ''
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> = Promise.resolve()
  #isLooking = false

  /** Make it before the lanes read the files: what changes after that is then seen. */
  constructor(parts: CertificateWatchParts) {
    this.#parts = parts
    this.#taken = stampOf(parts.tls)
    this.#seen = this.#taken
    const found = readPair(parts.tls)
    this.#digest = found.ok ? found.digest : ''
    this.#expiresAt = found.ok ? found.expiresAt : 0
  }

  start(): void {
    this.#timer = setInterval(() => {
      if (!this.#isLooking) void this.#look(false)
    }, LOOK_MS)
    this.#timer.unref()
  }

  /** Resolves when no lane is being told anything any more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.#looking
  }

  /** Takes the files as they are now, without waiting for them to stay as they are. */
  async renew(): Promise<void> {
    await this.#looking
    if (this.#timer !== undefined) await this.#look(true)
  }

  #look(isAsked: boolean): Promise<void> {
    this.#isLooking = true
    this.#looking = this.#takeChanges(isAsked).finally(() => {
      this.#isLooking = false
    })
    return this.#looking
  }

  async #takeChanges(isAsked: boolean): Promise<void> {
    const { tls, clock, log } = this.#parts
    const stamp = stampOf(tls)
    const isStill = stamp === this.#seen
    this.#seen = stamp
    if (!isAsked && (stamp === this.#taken || stamp === this.#unusable || !isStill)) return
    const found = readPair(tls)
    if (!found.ok) return this.#refuse(found.problem)
    const timing = validityProblem(found.certificate, clock.wall())
    if (timing !== null) return this.#refuse(`${tls.certFile} ${timing}`)
    const isUnusable = this.#unusable !== ''
    if (found.digest === this.#digest && !isUnusable) {
      this.#taken = stamp
      this.#lastProblem = ''
      if (isAsked) log('server.tls: the certificate in use is what the files hold')
      return
    }
    const problem = await this.#tellLanes()
    this.#unusable = problem === null ? '' : stamp
    if (problem !== null) return this.#refuse(problem)
    this.#taken = stamp
    this.#digest = found.digest
    this.#expiresAt = found.expiresAt
    this.#lastProblem = ''
    this.#results.taken += 1
    const names = found.certificate.subjectAltName ?? 'no name'
    log(
      `server.tls: new connections get the new certificate (${names}), valid until ${dateText(found.expiresAt)}`,
    )
  }

  async #tellLanes(): Promise<string | null> {
    const answers = await Promise.all(this.#parts.lanes().map((lane) => lane.renewCertificate()))
    const lane = answers.findIndex((problem) => problem !== null)
    return lane === -1 ? null : `lane ${lane}: ${answers[lane]}`
  }

  #refuse(problem: string): void {
    if (problem === this.#lastProblem) return
    this.#lastProblem = problem
    this.#results.refused += 1
    const inUse = `the certificate in use stays, valid until ${dateText(this.#expiresAt)}`
    this.#parts.log(`server.tls: THE CHANGED FILES ARE NOT USED: ${problem}; ${inUse}`)
  }

  readonly metrics: readonly Metric[] = [
    {
      name: 'modelgate_certificate_expires_seconds',
      type: 'gauge',
      labels: [],
      help: 'When the certificate runs out that new connections get, in Unix time.',
      samples: () => [{ labels: [], value: this.#expiresAt / 1000 }],
    },
    {
      name: 'modelgate_certificate_reloads_total',
      type: 'counter',
      labels: ['result'],
      help: 'Changes of the files of server.tls, by whether they were taken or refused.',
      samples: () =>
        (['taken', 'refused'] as const).map((result) => ({ labels: [result], value: this.#results[result] })),
    },
  ]
}
