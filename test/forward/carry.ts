/** What the forwarder's tests share: a version over given endpoints, a request, and its result as a promise. */
import { Buffer } from 'node:buffer'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import type { AttemptResult } from '../../src/domain/outcome.ts'
import type { Endpoint, RemoteVersion, Timeouts } from '../../src/domain/routes.ts'
import type { AttemptLimits, Cancel, OutboundRequest } from '../../src/domain/wire.ts'
import { Forwarder, type ForwarderParts } from '../../src/forward/forwarder.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { Sweep } from '../../src/kernel/sweep.ts'
import { HeldAnswer } from '../../src/passage/held-answer.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'

/** Whoever wants one to pass says so: a machine may stand still for seconds. */
export const TIMEOUTS: Timeouts = {
  queueMs: 20_000,
  connectMs: 20_000,
  firstByteMs: 20_000,
  idleMs: 20_000,
  totalMs: 60_000,
}

export function versionOf(...endpoints: readonly Endpoint[]): RemoteVersion {
  return {
    kind: 'remote',
    index: 0,
    model: 'fraud',
    name: 'v2',
    endpoints,
    balance: 'round-robin',
    rename: { model: null, version: null },
    firstEndpoint: 0,
    health: null,
    slowStartMs: 0,
  }
}

export const POST: OutboundRequest = {
  method: 'POST',
  target: '/v2/models/fraud/infer',
  headers: ['content-type', 'application/json'],
  body: Buffer.from('{"inputs":[]}'),
  repeatable: true,
}

export interface Carrying {
  readonly result: Promise<AttemptResult>
  readonly cancel: Cancel
  /** How often `done` was called. */
  calls(): number
}

/** A forwarder with its own sweep, on real time or time moved by hand. */
export class Carrier {
  readonly clock = new ManualClock()
  readonly sweep: Sweep
  readonly forwarder: Forwarder

  readonly #answerBytesMax: number | undefined

  constructor(
    time: 'real' | 'manual' = 'real',
    { answerBytesMax, ...parts }: Partial<ForwarderParts> & { answerBytesMax?: number } = {},
  ) {
    this.#answerBytesMax = answerBytesMax
    const clock = time === 'real' ? systemClock : this.clock
    this.sweep = new Sweep(clock)
    this.forwarder = new Forwarder({ clock, sweep: this.sweep, ...parts })
  }

  send(version: RemoteVersion, request: Partial<OutboundRequest> = {}, limits: LimitsInPart = {}): Carrying {
    let calls = 0
    let cancel: Cancel = () => {}
    const { deadlineAt = Number.POSITIVE_INFINITY, avoid = [], ...timeouts } = limits
    const all: AttemptLimits = { timeouts: { ...TIMEOUTS, ...timeouts }, deadlineAt, avoid }
    const result = new Promise<AttemptResult>((resolve) => {
      let isSynchronous = true
      const held = new HeldAnswer((found) => {
        calls += 1
        if (isSynchronous) throw new Error('done was called inside send')
        resolve(found)
      }, this.#answerBytesMax)
      cancel = this.forwarder.send(version, { ...POST, ...request }, all, held).cancel
      isSynchronous = false
    })
    return { result, cancel, calls: () => calls }
  }

  /** Moves the time and lets the sweep see it. */
  advance(ms: number): void {
    this.clock.advance(ms)
    this.sweep.run()
  }

  close(): void {
    this.forwarder.close()
  }
}

type LimitsInPart = Partial<Timeouts> & Partial<Omit<AttemptLimits, 'timeouts'>>

/** An upstream with these scripts and a carrier; both end with the test, leaving nothing watched. */
export async function stage(
  t: Test,
  scripts: readonly Script[],
  ...carrier: ConstructorParameters<typeof Carrier>
) {
  const upstream = await ScriptedUpstream.start(...scripts)
  const carry = new Carrier(...carrier)
  t.teardown(async () => {
    carry.close()
    await upstream.close()
    if (carry.sweep.size > 0) throw new Error(`${carry.sweep.size} still watched`)
  })
  return { upstream, carry, version: versionOf(upstream.endpoint) }
}

/** Takes one request and never answers. */
export const silent: Script = async (connection) => {
  await connection.request()
}

/** Waits for something that happens by itself; fails after a while that no machine needs. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let waitedMs = 0; !holds(); waitedMs += 2) {
    if (waitedMs > 5_000) throw new Error(`it never came to this: ${what}`)
    await delay(2)
  }
}

export function textOf(result: AttemptResult): string {
  return result.answer === null
    ? `${result.fault?.code}: ${result.fault?.message}`
    : Buffer.from(result.answer.body).toString('utf8')
}
