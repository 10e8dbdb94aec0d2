/**
 * The client of every measurement, a process of its own: does the jobs it is told, one after another, and answers
 * each with what it timed. Connections for streams are kept over jobs, as callers keep theirs.
 *
 * Without a rate the loop is closed (each connection asks again when it is answered): fit for CPU per request,
 * not for latency under overload. With a rate, latencies count from the intended start.
 */
import {
  type ArrivalJob,
  type ArrivalTimes,
  type FromClient,
  nowNs,
  patternBytes,
  type RequestJob,
  type RequestTimes,
  type StreamJob,
  type StreamTimes,
  type Target,
  type ToClient,
} from './rig/messages.ts'
import { PacedRun } from './rig/paced-run.ts'
import { RequestVisit } from './rig/request-visit.ts'
import { quantile, rounded, sortedCopy } from './rig/statistics.ts'
import { emptyTally, StreamVisit, timesOf } from './rig/stream-visit.ts'

const visits = new Map<number, StreamVisit[]>()

function headOf({ port, method, path, headers, body }: Target, isVerified: boolean): string {
  const length = typeof body === 'number' ? body : Buffer.byteLength(body)
  const framing = method === 'POST' ? `content-length: ${length}\r\n` : ''
  const verify = isVerified ? 'x-verify: 1\r\n' : ''
  const own = headers.map((line) => `${line}\r\n`).join('')
  return `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${own}${verify}${framing}\r\n`
}

async function readStreams({ target, streams, overMs, events }: StreamJob): Promise<StreamTimes> {
  const kept = (visits.get(target.port) ?? []).filter((visit) => visit.isOpen)
  while (kept.length < streams) kept.push(await openVisit(target.port))
  visits.set(target.port, kept)
  const request = headOf(target, false) + (typeof target.body === 'string' ? target.body : '')
  const tally = emptyTally()
  const reads = kept.slice(0, streams).map(async (visit, index) => {
    await new Promise((resolve) => setTimeout(resolve, (index / streams) * overMs))
    await visit.read(request, events, tally)
  })
  await Promise.all(reads)
  return timesOf(tally)
}

function openVisit(port: number): Promise<StreamVisit> {
  return new Promise((resolve, reject) => {
    const visit: StreamVisit = new StreamVisit(port, (problem) =>
      problem === null ? resolve(visit) : reject(new Error(problem)),
    )
  })
}

/** Sends requests, each on a connection that is free. */
class RequestRun {
  readonly #job: RequestJob
  readonly #head: Buffer
  readonly #body: Buffer | undefined
  readonly #latencies: number[] = []
  readonly #free: RequestVisit[] = []
  readonly #visits: RequestVisit[] = []
  readonly #settle: (result: RequestTimes | Error) => void
  #startedAt = 0
  #sent = 0

  constructor(job: RequestJob, settle: (result: RequestTimes | Error) => void) {
    this.#job = job
    this.#settle = settle
    const { body } = job.target
    this.#head = Buffer.from(
      headOf(job.target, job.isVerified) + (typeof body === 'string' ? body : ''),
      'latin1',
    )
    this.#body = typeof body === 'number' && body > 0 ? patternBytes(body) : undefined
  }

  start(): void {
    const { target, connections, isVerified } = this.#job
    const options = {
      port: target.port,
      isVerified,
      answered: (visit: RequestVisit) => this.#answered(visit),
      failed: (problem: string) => this.#end(new Error(problem)),
    }
    for (let index = 0; index < connections; index += 1) {
      const visit: RequestVisit = new RequestVisit(options, () => {
        this.#free.push(visit)
        if (this.#free.length === connections) this.#begin()
      })
      this.#visits.push(visit)
    }
  }

  #begin(): void {
    this.#startedAt = nowNs()
    if (this.#job.ratePerSecond > 0) return this.#pace()
    for (const visit of this.#free.splice(0)) this.#ask(visit, nowNs())
  }

  /** Sends what is due; a request that finds no connection free waits, and its wait counts. */
  #pace(): void {
    const { ratePerSecond, requests } = this.#job
    const now = nowNs()
    while (this.#sent < requests && this.#free.length > 0) {
      const dueAt = this.#startedAt + (this.#sent / ratePerSecond) * 1e9
      if (dueAt > now) break
      this.#ask(this.#free.pop()!, dueAt)
    }
    if (this.#sent < requests) setTimeout(() => this.#pace(), 1)
  }

  #ask(visit: RequestVisit, startedAt: number): void {
    if (this.#sent >= this.#job.requests) return
    this.#sent += 1
    visit.startedAt = startedAt
    visit.ask(this.#head, this.#body)
  }

  #answered(visit: RequestVisit): void {
    const now = nowNs()
    this.#latencies.push((now - visit.startedAt) / 1000)
    if (this.#latencies.length >= this.#job.requests) return this.#end(visit)
    if (this.#job.ratePerSecond > 0) this.#free.push(visit)
    else this.#ask(visit, now)
  }

  #end(last: RequestVisit | Error): void {
    for (const visit of this.#visits.splice(0)) visit.end()
    if (last instanceof Error) return this.#settle(last)
    const sorted = sortedCopy(this.#latencies)
    this.#settle({
      kind: 'requests',
      seconds: (nowNs() - this.#startedAt) / 1e9,
      p50: rounded(quantile(sorted, 0.5)),
      p99: rounded(quantile(sorted, 0.99)),
      answerBytes: last.bodyBytes,
      digest: last.digest,
    })
  }
}

function runRequests(job: RequestJob): Promise<RequestTimes> {
  return new Promise((resolve, reject) => {
    new RequestRun(job, (result) => (result instanceof Error ? reject(result) : resolve(result))).start()
  })
}

function runArrivals(job: ArrivalJob): Promise<ArrivalTimes> {
  const body = typeof job.target.body === 'string' ? job.target.body : ''
  const request = Buffer.from(headOf(job.target, false) + body, 'latin1')
  return new Promise((resolve, reject) => {
    new PacedRun(job, request, (result) =>
      result instanceof Error ? reject(result) : resolve(result),
    ).start()
  })
}

function work(job: ToClient): Promise<FromClient> {
  if (job.kind === 'streams') return readStreams(job)
  return job.kind === 'requests' ? runRequests(job) : runArrivals(job)
}

const tell = (message: FromClient): void => void process.send?.(message)

process.on('message', (job: ToClient) => {
  work(job).then(tell, (error: Error) => tell({ kind: 'failed', problem: error.message }))
})
process.on('disconnect', () => process.exit(0))
tell({ kind: 'ready' })
