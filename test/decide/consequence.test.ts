import t from 'tap'
import { chainFor, nameOf, nextStep } from '../../src/decide/consequence.ts'
import { judge, judgePassed, judgeShadow } from '../../src/decide/judge.ts'
import { checksInForce } from '../../src/decide/output-checks.ts'
import { FAULTS, type FaultCode, fault } from '../../src/domain/fault.ts'
import type { AttemptResult } from '../../src/domain/outcome.ts'
import type { Consequence, OutputCheck } from '../../src/domain/routes.ts'
import type { Scalar } from '../../src/protocols/protocol.ts'
import { makeIntent, makeLocalVersion, makeModel } from '../support/make-model.ts'

const reply: Consequence = {
  do: 'reply',
  file: 'r.json',
  contentType: 'application/json',
  body: new Uint8Array(2),
}
const toV1: Consequence = { do: 'version', version: 'v1' }
const toV2: Consequence = { do: 'version', version: 'v2' }

t.test('the fault picks the chain and the chain is followed in order', async (t) => {
  const model = makeModel({
    onFailure: { ...makeModel().onFailure, timeout: [toV1, toV2, reply, { do: 'fail' }] },
  })
  let chain = chainFor(model, fault('first-byte-timeout', ''))
  const taken: string[] = []
  for (let count = 0; count < 5; count += 1) {
    const { take, rest } = nextStep(chain, ['v2'])
    taken.push(nameOf(take))
    chain = rest
  }
  t.same(taken, ['version:v1', 'reply:r.json', 'fail', 'fail', 'fail'], 'a version already tried is skipped')
})

t.test('every fault that is not the caller’s or the gateway’s own has a consequence', async (t) => {
  for (const code of Object.keys(FAULTS) as FaultCode[]) {
    const { source, consequence } = FAULTS[code]
    if (source === 'client') t.equal(consequence, null, code)
    if (source === 'upstream') t.not(consequence, null, code)
    const { take } = nextStep(chainFor(makeModel(), fault(code, '')), [])
    t.equal(take.do, 'fail', `${code} ends when nothing else is declared`)
  }
})

const version = makeLocalVersion('fraud', 'v1')
const score: OutputCheck = { name: 'score', pointer: '/p', type: 'number', min: 0, max: 1 }
const held = (checks: readonly OutputCheck[], mustBeThere = true) => ({ checks, mustBeThere })
const phases = { queueMs: 0, connectMs: 0, firstByteMs: 1, totalMs: 1 }
const result = (status: number): AttemptResult => ({
  endpoint: 'pool',
  phases,
  reused: false,
  answer: { status, headers: [], body: new Uint8Array(0) },
  fault: null,
})

t.test('statuses are judged: 2xx success, 4xx neutral, 5xx failure', async (t) => {
  const verdict = (status: number) => judge(result(status), version, held([]), () => []).verdict
  t.same([200, 204, 302].map(verdict), ['success', 'success', 'success'])
  t.same([400, 404, 429].map(verdict), ['neutral', 'neutral', 'neutral'])
  t.same([500, 502, 503].map(verdict), ['failure', 'failure', 'failure'])
})

t.test('what one endpoint of several does is a fault all the same, but not its version’s', async (t) => {
  const isEndpointsOwn = true
  const told = judge({ ...result(503), isEndpointsOwn }, version, held([]), () => [])
  t.match(told, { verdict: 'neutral', fault: { code: 'endpoint-error' } })
  const late = { ...result(0), answer: null, fault: fault('first-byte-timeout', 'late', ''), isEndpointsOwn }
  t.match(
    judge(late, version, held([]), () => []),
    { verdict: 'neutral', fault: { code: 'first-byte-timeout' } },
  )
  const passed = { status: 200, headers: [], bodyBytes: 3, isOpen: false }
  t.match(judgePassed({ ...late, passed }, null, version), { verdict: 'neutral' })
  t.match(judgeShadow(late, null, version), { verdict: 'failure' }, 'shadows have no breaker to spare')
})

t.test('output checks hold an answer against what was declared', async (t) => {
  const check = (more: Partial<OutputCheck>, value: Scalar) => {
    const { verdict, fault: reason } = judge(result(200), version, held([{ ...score, ...more }]), () => [
      value,
    ])
    return reason === null ? verdict : `${verdict}: ${reason.code}`
  }
  const wrong = 'failure: invalid-output'
  t.equal(check({}, 0.5), 'success')
  t.equal(check({}, 0), 'success')
  t.equal(check({}, 1.0001), wrong)
  t.equal(check({}, -0.1), wrong)
  t.equal(check({}, Number.NaN), wrong)
  t.equal(check({}, Number.POSITIVE_INFINITY), wrong)
  t.equal(check({ max: Number.POSITIVE_INFINITY }, Number.POSITIVE_INFINITY), wrong)
  t.equal(check({}, '0.5'), wrong)
  t.equal(check({}, null), wrong)
  t.equal(check({}, undefined), wrong)
  t.equal(check({ type: 'integer' }, 1), 'success')
  t.equal(check({ type: 'integer' }, 0.5), wrong)
  t.equal(check({ type: 'string' }, 'ok'), 'success')
  t.equal(check({ type: 'boolean' }, 'true'), wrong)
})

t.test('the violating value is not told to callers', async (t) => {
  const { fault: reason } = judge(result(200), version, held([score]), () => [1234.5])
  t.notMatch(reason?.message, /1234/)
})

t.test('what a caller chose about the form of its answer is no failure of the version', async (t) => {
  const byPosition = { ...score, name: 'position', pointer: '/outputs/0/data/0' }
  const byName = { ...score, name: 'name', pointer: '/outputs/score/data/0' }
  const model = makeModel({ output: [byPosition, byName] })
  const names = (selectsOutputs: boolean, method = 'POST', status = 200) =>
    checksInForce(makeIntent(model, { selectsOutputs }), method, status).checks.map(({ name }) => name)
  t.same(names(false), ['position', 'name'])
  t.same(names(true), ['name'], 'positions say nothing about outputs the caller picked')
  t.same(names(false, 'HEAD'), [])
  t.same(names(false, 'GET'), [])
  t.same(names(false, 'POST', 204), [])
  const lenient = judge(result(200), version, held([byName], false), () => [undefined])
  t.equal(lenient.verdict, 'success', 'an output the caller left out is not missing')
  t.equal(judge(result(200), version, held([byName], false), () => [9]).verdict, 'failure')
})

t.test('paths of a model’s checks are split once', async (t) => {
  const intent = makeIntent(makeModel({ output: [{ ...score, pointer: '/outputs/0/data/0' }] }))
  t.same(checksInForce(intent, 'POST', 200).paths, [['outputs', '0', 'data', '0']])
  t.equal(checksInForce(intent, 'POST', 200), checksInForce(intent, 'POST', 200))
})

t.test('a stream is judged at its end, and what the caller did wrong counts against nobody', async (t) => {
  const passed = { status: 200, headers: [], bodyBytes: 9, isOpen: false }
  const summary = { finishReason: '', usage: null, events: 1, problem: '' }
  const of = (more: object, status = 200) =>
    judgePassed(
      { ...result(200), answer: null, passed: { ...passed, status } },
      { ...summary, ...more },
      version,
    )
  t.match(of({}), { verdict: 'success', fault: null })
  t.match(of({ problem: 'without [DONE]' }), { verdict: 'failure', fault: { code: 'incomplete-stream' } })
  t.match(of({ problem: 'with an error event', isCallersDoing: true }), { verdict: 'neutral', fault: null })
  t.match(of({ problem: 'without [DONE]' }, 400), { verdict: 'neutral', fault: null })
})
