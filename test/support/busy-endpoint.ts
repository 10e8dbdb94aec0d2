/**
 * An endpoint of fixed capacity: so many requests at once, each for so long; what comes beyond waits in a line of its
 * own, first come first served and without bound, as that of a plain server does.
 */
import type { Test } from 'tap'
import { plainAnswer, ScriptedUpstream } from './scripted-upstream.ts'

const WELL = plainAnswer(200, '{"outputs":[]}', ['content-type: application/json'])

export interface BusySettings {
  readonly places: number
  readonly serviceMs: number
}

export class BusyEndpoint {
  readonly upstream: ScriptedUpstream
  serviceMs: number
  served = 0
  /** Most requests here at once, those in its line included. */
  most = 0
  readonly #places: number
  readonly #line: (() => void)[] = []
  #working = 0
  #here = 0

  private constructor(upstream: ScriptedUpstream, { places, serviceMs }: BusySettings) {
    this.upstream = upstream
    this.#places = places
    this.serviceMs = serviceMs
  }

  static async start(t: Pick<Test, 'teardown'>, settings: BusySettings): Promise<BusyEndpoint> {
    const upstream = await ScriptedUpstream.start(async (connection) => {
      for (;;) {
        await connection.request()
        await endpoint.#work()
        connection.send(WELL)
      }
    })
    const endpoint: BusyEndpoint = new BusyEndpoint(upstream, settings)
    t.teardown(() => upstream.close())
    return endpoint
  }

  async #work(): Promise<void> {
    this.#here += 1
    this.most = Math.max(this.most, this.#here)
    if (this.#working >= this.#places) await new Promise<void>((resolve) => this.#line.push(resolve))
    else this.#working += 1
    await new Promise((resolve) => setTimeout(resolve, this.serviceMs))
    this.served += 1
    this.#here -= 1
    const next = this.#line.shift()
    if (next === undefined) this.#working -= 1
    else next()
  }
}
