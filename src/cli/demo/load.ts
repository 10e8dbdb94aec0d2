/**
 * Sends the replayed requests over real HTTP: kept-alive connections, a steady pace after a gentle start, a
 * bound on what is under way. What could not be sent in time is sent later, never in a burst: a machine that
 * cannot keep up gets the same requests at its own pace. Every answer is handed on with what a caller sees of it; one that never came is an answer
 * with status 0 and the reason.
 *
 * A request is sent again only when a kept-alive connection turned out to be dead before anything came
 * back, which every HTTP client does.
 */
import { Agent, type IncomingMessage, request } from 'node:http'
import type { Clock } from '../../kernel/clock.ts'
import type { Cue, Outputs } from './replay-set.ts'

/**
 * Few, because a machine that cannot keep the pace has always this many under way: at 80 answers a second
 * 16 wait 200 ms each, and a breaker that takes that for slow would be right.
 */
export const CONNECTIONS_MAX = 16
const TICK_MS = 5
/** Longer than a chain of total timeouts: whoever waits so long is not being answered. */
const PATIENCE_MS = 10_000
/** How much of the pace may be caught up at once. */
const CATCH_UP_MS = 50
/** Share of the pace and of the connections with which a warm-up begins. */
const WARM_UP_FROM = 0.1

export interface LoadParts {
  readonly host: string
  readonly port: number
  readonly perSecond: number
  /** Over which pace and connections grow to all there are; 0 or nothing: all from the first. */
  readonly warmUpMs?: number
  readonly cue: (index: number) => Cue
  readonly clock: Clock
  onAnswer(answer: CallerAnswer): void
}

/** What a caller saw. */
export interface CallerAnswer {
  readonly cue: Cue
  /** 0: none came. */
  readonly status: number
  /** Why none came; empty otherwise. */
  readonly problem: string
  readonly requestId: string
  readonly version: string
  readonly reason: string
  readonly degraded: string
  readonly error: string
  readonly outputs: Outputs
  readonly tookMs: number
}

const NO_OUTPUTS: Outputs = new Map()

export class Load {
  readonly #parts: LoadParts
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX, timeout: PATIENCE_MS })
  readonly #startedAt: number
  readonly #timer: NodeJS.Timeout
  #tickedAt: number
  /** Requests that may be sent now, with the fraction that is to be. */
  #credit = 0
  #limit = Number.POSITIVE_INFINITY
  #sent = 0
  #underWay = 0
  #onIdle: (() => void) | undefined

  /** Begins at once and goes on until `finish`. */
  constructor(parts: LoadParts) {
    this.#parts = parts
    this.#startedAt = parts.clock.now()
    this.#tickedAt = this.#startedAt
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  get sent(): number {
    return this.#sent
  }

  /** Sends no more than `limit` in all, and nothing after `withinMs`; resolves when the last answer is there. */
  async finish(limit: number, withinMs: number): Promise<void> {
    this.#limit = Math.max(limit, this.#sent)
    const stop = setTimeout(() => {
      this.#limit = this.#sent
      if (this.#underWay === 0) this.#onIdle?.()
    }, withinMs)
    if (this.#sent < this.#limit || this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve
      })
    }
    clearTimeout(stop)
    this.close()
  }

  /** Drops everything. */
  close(): void {
    clearInterval(this.#timer)
    this.#agent.destroy()
  }

  #tick(): void {
    const { perSecond, warmUpMs = 0, clock } = this.#parts
    const now = clock.now()
    const warmth = warmUpMs === 0 ? 1 : Math.min(1, WARM_UP_FROM + (now - this.#startedAt) / warmUpMs)
    const perMs = (perSecond * warmth) / 1000
    const creditMax = Math.max(1, CATCH_UP_MS * perMs)
    this.#credit = Math.min(creditMax, this.#credit + (now - this.#tickedAt) * perMs)
    this.#tickedAt = now
    const underWayMax = warmth * CONNECTIONS_MAX
    while (this.#credit >= 1 && this.#sent < this.#limit && this.#underWay < underWayMax) {
      this.#credit -= 1
      const cue = this.#parts.cue(this.#sent)
      this.#sent += 1
      this.#underWay += 1
      this.#send(cue, clock.now())
    }
  }

  #send(cue: Cue, startedAt: number): void {
    const { host, port, clock } = this.#parts
    const { path, headers, body } = cue.set.question(cue.row)
    const own = { 'content-type': 'application/json', 'content-length': String(body.length) }
    const call = request({
      host,
      port,
      path,
      method: 'POST',
      agent: this.#agent,
      headers: { ...headers, ...own, 'user-agent': 'modelgate-demo' },
      timeout: PATIENCE_MS,
    })
    let isOver = false
    let isBegun = false
    const over = (answer: Omit<CallerAnswer, 'cue' | 'tookMs'>): void => {
      if (isOver) return
      isOver = true
      this.#answered({ cue, tookMs: clock.now() - startedAt, ...answer })
    }
    call.on('timeout', () => call.destroy(new Error(`no answer for ${PATIENCE_MS} ms`)))
    call.on('error', (error: NodeJS.ErrnoException) => {
      const isStale = call.reusedSocket && error.code === 'ECONNRESET' && !isBegun
      if (!isStale || isOver) return over(noAnswer(error))
      isOver = true
      this.#send(cue, startedAt)
    })
    call.on('response', (response) => {
      isBegun = true
      receive(response, over)
    })
    call.end(body)
  }

  #answered(answer: CallerAnswer): void {
    this.#underWay -= 1
    this.#parts.onAnswer(answer)
    if (this.#sent >= this.#limit && this.#underWay === 0) this.#onIdle?.()
  }
}

type Over = (answer: Omit<CallerAnswer, 'cue' | 'tookMs'>) => void

function receive(response: IncomingMessage, over: Over): void {
  const chunks: Buffer[] = []
  response.on('data', (chunk: Buffer) => chunks.push(chunk))
  response.on('error', (error) => over(noAnswer(error)))
  response.on('end', () => {
    over({
      status: response.statusCode ?? 0,
      problem: '',
      requestId: headerOf(response, 'modelgate-request-id'),
      version: headerOf(response, 'modelgate-version'),
      reason: headerOf(response, 'modelgate-reason'),
      degraded: headerOf(response, 'modelgate-degraded'),
      error: headerOf(response, 'modelgate-error'),
      outputs: outputsOf(Buffer.concat(chunks)),
    })
  })
}

function noAnswer(error: NodeJS.ErrnoException): Omit<CallerAnswer, 'cue' | 'tookMs'> {
  const problem = error.code ?? error.message
  const nothing = { requestId: '', version: '', reason: '', degraded: '', error: '' }
  return { status: 0, problem, ...nothing, outputs: NO_OUTPUTS }
}

function headerOf(response: IncomingMessage, name: string): string {
  const value = response.headers[name]
  return typeof value === 'string' ? value : ''
}

/** Empty for anything that is no inference answer. */
export function outputsOf(body: Buffer): Outputs {
  try {
    const { outputs } = JSON.parse(body.toString('utf8')) as {
      outputs?: { name: string; data: number[] }[]
    }
    return new Map((outputs ?? []).map(({ name, data }) => [name, data.map(Number)]))
  } catch {
    return NO_OUTPUTS
  }
}
