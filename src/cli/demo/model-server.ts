/**
 * The server behind the canary: a second modelgate as a process of its own, which the demo can kill, start
 * again, and slow down for real. A slow spell stops and continues the process in turns (SIGSTOP, SIGCONT),
 * so its answers are right but late.
 *
 * It never outlives the demo: ended by `stop`, by a handler of this process's exit, and by its own tether
 * (model-server-process.ts) should this process be killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { HostPort } from '../../domain/routes.ts'
import { entryBeside } from '../../kernel/entry.ts'
import { isReady } from './admin-client.ts'

const START_WITHIN_MS = 20_000
const STOP_WITHIN_MS = 3000
const LOOK_EVERY_MS = 50
/** Its latest words, for when it ends by itself. */
const WORDS_KEPT = 4000

export interface Pulse {
  readonly stoppedMs: number
  readonly runningMs: number
}

export class ModelServer {
  /** Resolves to what went wrong when the process ends by itself; never otherwise. */
  readonly failed: Promise<Error>
  readonly #configFile: string
  readonly #admin: HostPort
  #fail: (error: Error) => void = () => {}
  #process: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()
  #words = ''
  #isWanted = false
  #isOver = false
  #isSlow = false
  #pulsing: Promise<void> = Promise.resolve()
  readonly #onExit = (): void => void this.#process?.kill('SIGKILL')

  /** `admin`: where it will say that it is ready. */
  constructor(configFile: string, admin: HostPort) {
    this.#configFile = configFile
    this.#admin = admin
    this.failed = new Promise((resolve) => {
      this.#fail = resolve
    })
    process.once('exit', this.#onExit)
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  /** Resolves when it serves; rejects with its own words when it does not come to that. */
  async start(clock: { now(): number }): Promise<void> {
    if (this.#isOver) throw new Error('the model server was stopped for good')
    this.#spawn()
    const until = clock.now() + START_WITHIN_MS
    let isEnded = false
    void this.#ended.then(() => {
      isEnded = true
    })
    for (;;) {
      if (isEnded) throw new Error(`the model server did not start: ${this.#lastWords()}`)
      if (await isReady(this.#admin)) break
      if (clock.now() > until) throw new Error(`the model server was not ready within ${START_WITHIN_MS} ms`)
      await pause(LOOK_EVERY_MS)
    }
    if (!isEnded) this.#isWanted = true
  }

  /** As a crash would end it. */
  async kill(): Promise<void> {
    this.#isWanted = false
    this.#process?.kill('SIGKILL')
    await this.#ended
  }

  slowDown(pulse: Pulse): void {
    if (this.#isOver) return
    this.#isSlow = true
    this.#pulsing = this.#pulse(pulse)
  }

  async speedUp(): Promise<void> {
    this.#isSlow = false
    await this.#pulsing
  }

  /** For good. */
  async stop(): Promise<void> {
    this.#isOver = true
    this.#isWanted = false
    await this.speedUp()
    this.#process?.kill('SIGTERM')
    const patience = new AbortController()
    const killed = pause(STOP_WITHIN_MS, undefined, { signal: patience.signal }).then(
      () => void this.#process?.kill('SIGKILL'),
      () => {},
    )
    await this.#ended
    patience.abort()
    await killed
    process.removeListener('exit', this.#onExit)
  }

  #spawn(): void {
    const entry = fileURLToPath(entryBeside(import.meta.url, './model-server-process'))
    // A group of its own: Ctrl-C reaches the gateway, which finishes what is under way before this one goes.
    const child = spawn(process.execPath, [entry, 'serve', '--config', this.#configFile], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    this.#process = child
    this.#words = ''
    const hear = (chunk: Buffer): void => {
      this.#words = `${this.#words}${chunk.toString('utf8')}`.slice(-WORDS_KEPT)
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.stdin.on('error', () => {})
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#words += error.message
        resolve()
      })
      child.once('close', () => {
        if (this.#isWanted) this.#fail(new Error(`the model server ended by itself: ${this.#lastWords()}`))
        resolve()
      })
    })
  }

  async #pulse({ stoppedMs, runningMs }: Pulse): Promise<void> {
    while (this.#isSlow) {
      this.#process?.kill('SIGSTOP')
      await pause(stoppedMs)
      this.#process?.kill('SIGCONT')
      // On a busy machine it may take longer than that until it gets to run at all.
      await isReady(this.#admin)
      await pause(runningMs)
    }
  }

  #lastWords(): string {
    return this.#words.trim() || 'it said nothing'
  }
}
