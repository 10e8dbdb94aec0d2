/**
 * Plays one case over a connection of its own, from an address of its own, so that everything an endpoint gets can
 * be put down to the case that caused it. Waits only for what is due, and tells what came and how it ended.
 */
import { Buffer } from 'node:buffer'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { resetSocket } from '../../test/support/reset-socket.ts'
import { type AnswersReading, readAnswers } from './read-answers.ts'
import { type RequestReading, readRequests } from './read-requests.ts'
import type { RequestCase } from './request-cases.ts'

/** For what must come: an answer that is due, or the end of a connection. */
const PATIENCE_MS = 10_000
/** For what may come: an answer to bytes that are no request. */
const QUIET_MS = 40
/** The server ends a connection without a word at most 12 s after its last one; its timer ticks every 4 s. */
const STAY_MS = 17_000

export interface Played {
  /** What was really sent: a caller whose connection ended sends no more. */
  readonly sent: Buffer
  readonly reading: RequestReading
  readonly answers: AnswersReading
  /** The gateway ended the connection by itself, before the caller said goodbye. */
  readonly endedByGateway: boolean
  /** How many answers came before the caller said goodbye. */
  readonly answeredInTime: number
  /** It ended at all. */
  readonly ended: boolean
}

export async function play(one: RequestCase, port: number, address: string): Promise<Played> {
  const line = await Line.open(port, address)
  try {
    for (const [index, message] of one.messages.entries()) {
      if (index > 0 && !(await line.answered(index))) break
      await line.send(message, one.cuts)
    }
    if (one.leaving === 'reset') {
      await pause(one.number % 7)
      line.reset()
      return line.played(false, 0)
    }
    if (one.leaving === 'wait') await line.quiet()
    if (one.leaving === 'stay') {
      const ended = await line.until(() => line.hasEnded, STAY_MS)
      return line.played(ended, 0)
    }
    const endedByGateway = line.hasEnded
    const answeredInTime = one.leaving === 'wait' ? line.answerCount : 0
    line.finish()
    await line.until(() => line.hasEnded, PATIENCE_MS)
    return line.played(endedByGateway, answeredInTime)
  } finally {
    line.drop()
  }
}

class Line {
  hasEnded = false
  readonly #socket: Socket
  readonly #sent: Buffer[] = []
  #received: Buffer = Buffer.alloc(0)
  #reading: RequestReading = readRequests(Buffer.alloc(0))
  #answers: AnswersReading = { answers: [], left: this.#received }
  #wake: () => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#read()
      this.#wake()
    })
    for (const event of ['end', 'error', 'close']) {
      socket.on(event, () => {
        this.hasEnded = true
        this.#wake()
      })
    }
  }

  static async open(port: number, localAddress: string): Promise<Line> {
    const socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true, allowHalfOpen: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new Line(socket)
  }

  async send(bytes: Buffer, cuts: readonly number[]): Promise<void> {
    const places = [0, ...cuts.map((cut) => Math.floor(cut * bytes.length)), bytes.length]
    for (const [index, end] of places.slice(1).entries()) {
      if (index > 0) await new Promise((resolve) => setImmediate(resolve))
      const piece = bytes.subarray(places[index], end)
      if (this.hasEnded || piece.length === 0) continue
      this.#sent.push(piece)
      this.#socket.write(piece)
    }
    this.#reading = readRequests(Buffer.concat(this.#sent))
    this.#read()
  }

  /** As many answers came; false when that will not be. */
  async answered(count: number): Promise<boolean> {
    const enough = () => this.#answers.answers.length >= count
    const isDue = this.#reading.requests.length >= count
    await this.until(() => this.hasEnded || enough(), isDue ? PATIENCE_MS : QUIET_MS)
    return !this.hasEnded && enough()
  }

  /** Everything that is due has come, and a refusal’s end of the connection, too; what may come had its time. */
  async quiet(): Promise<void> {
    const { requests, rest } = this.#reading
    await this.until(() => this.hasEnded || this.#answers.answers.length >= requests.length, PATIENCE_MS)
    const refused = () => this.#answers.answers.length > requests.length
    if (rest !== 'nothing') await this.until(() => this.hasEnded || refused(), QUIET_MS)
    const isLast = this.#answers.answers.at(-1)?.headers.get('connection') === 'close'
    if (isLast || (refused() && rest === 'doubtful')) await this.until(() => this.hasEnded, PATIENCE_MS)
  }

  finish(): void {
    if (this.#socket.writable) this.#socket.end()
  }

  reset(): void {
    if (!this.hasEnded) resetSocket(this.#socket)
  }

  drop(): void {
    this.#socket.destroy()
  }

  get answerCount(): number {
    return this.#answers.answers.length
  }

  played(endedByGateway: boolean, answeredInTime: number): Played {
    return {
      sent: Buffer.concat(this.#sent),
      reading: this.#reading,
      answers: this.#answers,
      endedByGateway,
      answeredInTime,
      ended: this.hasEnded,
    }
  }

  async until(holds: () => boolean, withinMs: number): Promise<boolean> {
    const end = performance.now() + withinMs
    while (!holds()) {
      const left = end - performance.now()
      if (left <= 0) return false
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    return true
  }

  #read(): void {
    const { requests, restMethod } = this.#reading
    this.#answers = readAnswers(this.#received, (index) => requests[index]?.method ?? restMethod)
  }
}
