/**
 * One kept connection of the client on which streams are read one after another: finds the events in whatever
 * pieces arrive and notes when each was written and when it came. The clock is read first thing in the
 * callback; an event that is not complete counts as arrived when its last byte does.
 */
import { connect, type Socket } from 'node:net'
import { nowNs, type StreamTimes } from './messages.ts'

const MARK = '"sent:'
const DIGITS = 16

export interface StreamTally {
  readonly firstTokens: number[]
  readonly delays: number[]
  readonly gaps: number[]
  readonly stretches: number[]
}

export function emptyTally(): StreamTally {
  return { firstTokens: [], delays: [], gaps: [], stretches: [] }
}

export function timesOf(tally: StreamTally): StreamTimes {
  return { kind: 'streams', ...tally }
}

interface Reading {
  readonly tally: StreamTally
  readonly events: number
  readonly askedAt: number
  done(problem: string | null): void
  seen: number
  lastSent: number
  lastCame: number
}

export class StreamVisit {
  readonly #socket: Socket
  #rest = ''
  #reading: Reading | undefined

  constructor(port: number, ready: (problem: string | null) => void) {
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true }, () => ready(null))
    this.#socket.on('data', (bytes: Buffer) => this.#read(nowNs(), bytes))
    this.#socket.on('error', (error) => this.#fail(error.message))
    this.#socket.on('close', () => this.#fail('the connection was closed'))
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed
  }

  /** Asks, and reads until the end of the answer. */
  read(request: string, events: number, tally: StreamTally): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (problem: string | null): void =>
        problem === null ? resolve() : reject(new Error(problem))
      this.#reading = { tally, events, askedAt: nowNs(), done, seen: 0, lastSent: 0, lastCame: 0 }
      this.#socket.write(request)
    })
  }

  #fail(problem: string): void {
    const reading = this.#reading
    this.#reading = undefined
    reading?.done(problem)
  }

  #read(now: number, bytes: Buffer): void {
    const reading = this.#reading
    if (reading === undefined) return
    const text = this.#rest + bytes.toString('latin1')
    let from = 0
    for (;;) {
      const at = text.indexOf(MARK, from)
      const end = at === -1 ? -1 : text.indexOf('\n\n', at)
      if (end === -1) break
      note(reading, now, Number(text.slice(at + MARK.length, at + MARK.length + DIGITS)))
      from = end + 2
    }
    this.#rest = text.slice(from)
    if (!this.#rest.endsWith('0\r\n\r\n')) return
    this.#rest = ''
    this.#reading = undefined
    const isWhole = reading.seen === reading.events
    reading.done(isWhole ? null : `${reading.seen} events came instead of ${reading.events}`)
  }
}

function note(reading: Reading, now: number, sentAt: number): void {
  const { tally } = reading
  if (reading.seen === 0) tally.firstTokens.push((now - reading.askedAt) / 1000)
  else {
    const gap = now - reading.lastCame
    // The first gap is of a length of its own: each stream finds its place between the others.
    if (reading.seen > 1) tally.gaps.push(gap / 1000)
    tally.stretches.push((gap - (sentAt - reading.lastSent)) / 1000)
  }
  tally.delays.push((now - sentAt) / 1000)
  reading.seen += 1
  reading.lastSent = sentAt
  reading.lastCame = now
}
