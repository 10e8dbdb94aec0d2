/**
 * Endpoints that change their mood while a gateway uses them and asks them whether they are well; and callers that go on
 * all the while.
 */
import type { Test } from 'tap'
import { tensorOf } from './ask.ts'
import { eventually } from './eventually.ts'
import { plainAnswer, type Script, ScriptedUpstream } from './scripted-upstream.ts'
import type { TestGateway } from './start-gateway.ts'

/** `coy`: answers requests, and not the question whether it is well. */
export type Mood = 'well' | 'failing' | 'hanging' | 'resetting' | 'coy'

export const READY = '/v2/health/ready'
const WELL = plainAnswer(200, '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[7]}]}', [
  'content-type: application/json',
])

export interface MoodyEndpoint {
  mood: Mood
  /** Requests; and questions whether it is well. */
  asked: number
  probed: number
  readonly upstream: ScriptedUpstream
}

export async function moodyEndpoint(t: Test, mood: Mood = 'well'): Promise<MoodyEndpoint> {
  const state = { mood, asked: 0, probed: 0 }
  const script: Script = async (connection) => {
    for (;;) {
      const { target } = await connection.request()
      const isProbe = target === READY
      state[isProbe ? 'probed' : 'asked'] += 1
      if (state.mood === 'hanging' || (state.mood === 'coy' && isProbe)) return connection.closed
      if (state.mood === 'resetting') return connection.reset()
      connection.send(state.mood === 'failing' ? plainAnswer(500, 'ill') : WELL)
    }
  }
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return Object.assign(state, { upstream })
}

export const moodyEndpoints = (t: Test, count: number) =>
  Promise.all(Array.from({ length: count }, () => moodyEndpoint(t)))

/** A model with one version. */
export const modelOver = (
  endpoints: readonly MoodyEndpoint[],
  { name = 'm', of = '', version = '' } = {},
) => `
[models.${name}]
${of}
[models.${name}.versions.v1]
endpoints = ${JSON.stringify(endpoints.map(({ upstream }) => upstream.url))}
${version}
`
export const askM = (gateway: TestGateway, model = 'm') => gateway.infer(model, tensorOf('x', [1]))

export interface Call {
  readonly status: number
  readonly at: number
  readonly tookMs: number
}

/** Four callers, each one request after the other, until they are told to stop; what they were told, as it comes. */
export function load(gateway: TestGateway, model = 'm') {
  const told: Call[] = []
  let isOver = false
  const underWay = new Set<Promise<unknown>>()
  const call = async () => {
    while (!isOver) {
      const asking = askM(gateway, model)
      underWay.add(asking)
      const { status, tookMs } = await asking
      underWay.delete(asking)
      told.push({ status, at: performance.now(), tookMs })
    }
  }
  const calls = Promise.all([call(), call(), call(), call()])
  const stop = async () => {
    isOver = true
    await calls
    return told
  }
  const more = async (count: number) => {
    const enough = told.length + count
    await eventually(() => told.length >= enough, { withinMs: 60_000, until: `${count} more answers` })
  }
  /** Until whatever was under way is answered: what comes then was all decided upon later. */
  const turnover = () => Promise.all(underWay)
  return { told, stop, more, turnover }
}
