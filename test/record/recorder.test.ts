/** From the story of a request to its record: what is kept, what never reaches the disk, and when replies may leave. */
import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { KEY_FILE } from '../../src/audit/paths.ts'
import type { Exchange, ShadowOutcome, StreamOutcome } from '../../src/domain/exchange.ts'
import { fault } from '../../src/domain/fault.ts'
import type { Intent } from '../../src/domain/intent.ts'
import type { Attempt } from '../../src/domain/outcome.ts'
import type { Plan } from '../../src/domain/plan.ts'
import type { Model, Version } from '../../src/domain/routes.ts'
import { RequestIds } from '../../src/kernel/request-id.ts'
import { decisionOf, shadowOf } from '../../src/record/build.ts'
import { Recorder } from '../../src/record/recorder.ts'
import { allRecords, openBenchLog } from '../audit/bench-log.ts'

const SECRETS = [
  'u-4711-secret',
  'Bearer top-secret',
  'ssn=123-45-6789',
  'session-cookie',
  'body-secret',
  'answer-secret',
]
const [KEY, BEARER, QUERY, COOKIE, BODY, ANSWER] = SECRETS as [string, string, string, string, string, string]
const ids = new RequestIds()
// Of a version the record takes the name alone, of a model its protocol too.
const version = (name: string) => ({ name, model: 'fraud' }) as Version
const model = { name: 'fraud', protocol: 'open-inference' } as Model

const attempt: Attempt = {
  version: 'v2',
  role: 'canary',
  startedAt: 100.5,
  verdict: 'success',
  result: {
    endpoint: 'http://10.0.0.11:8000',
    phases: { queueMs: 0, connectMs: 0.7, firstByteMs: 2.3, totalMs: 2.4 },
    reused: false,
    answer: { status: 200, headers: ['content-type', 'application/json'], body: Buffer.from(ANSWER) },
    fault: null,
  },
}

const intent: Intent = {
  model,
  protocol: 'open-inference',
  operation: 'infer',
  pin: 'v2',
  key: { source: 'header:x-user-id', value: KEY },
  callers: { rates: [], idempotency: '', cache: '' },
  subject: '',
  idempotencyKey: null,
  deadlineAt: Infinity,
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  isShadow: false,
  rest: '',
  jsonLength: -1,
  selectsOutputs: false,
}

const plan: Plan = {
  version: version('v2'),
  reason: 'canary',
  role: 'canary',
  experiment: '',
  assigned: 'v2',
  point: 0.034212,
  candidates: [
    { version: 'v1', passed: 'lower-precedence', breaker: 'open' },
    { version: 'v2', passed: 'chosen', breaker: 'closed' },
  ],
  shadows: [
    {
      version: version('v3'),
      settings: { version: 'v3', percent: 100, concurrentMax: 4, timeoutMs: 100 },
      fate: 'planned',
    },
  ],
}

function exchangeWith(more: Partial<Exchange> = {}): Exchange {
  return {
    id: ids.next(1_795_000_000_000),
    generation: 7,
    configHash: '5f'.repeat(32),
    auditMode: 'batched',
    receivedAt: 1_795_000_000_000,
    startedAt: 100,
    endedAt: 103.25,
    head: {
      method: 'POST',
      target: `/v2/models/fraud/infer?${QUERY}`,
      path: '/v2/models/fraud/infer',
      query: QUERY,
      headers: [
        'host',
        'gateway',
        'user-agent',
        'curl/8.5.0',
        'authorization',
        BEARER,
        'cookie',
        COOKIE,
        'content-type',
        'application/json',
        'x-user-id',
        KEY,
      ],
      contentLength: 11,
      clientAddress: '10.0.0.5',
      forwarded: { isTrusted: false, chain: '10.0.0.5', host: 'gateway', scheme: 'http' },
    },
    model,
    intent,
    plan,
    attempts: [attempt],
    served: 'v2',
    reason: 'canary',
    degraded: '',
    status: 200,
    fault: null,
    requestBody: Buffer.from(BODY),
    asides: [],
    kept: null,
    answer: attempt.result.answer,
    passed: null,
    summary: null,
    ...more,
  }
}

t.test('a record tells who, what, which, why, and how it went', async (t) => {
  const exchange = exchangeWith()
  t.strictSame(decisionOf(exchange), {
    id: exchange.id,
    receivedAt: 1_795_000_000_000,
    durationMs: 3.25,
    generation: 7,
    configHash: '5f'.repeat(32),
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    client: { address: '10.0.0.5', userAgent: 'curl/8.5.0' },
    request: {
      method: 'POST',
      path: '/v2/models/fraud/infer',
      contentType: 'application/json',
      bodyBytes: BODY.length,
    },
    model: 'fraud',
    protocol: 'open-inference',
    operation: 'infer',
    pin: 'v2',
    isShadow: false,
    keySource: 'header:x-user-id',
    plan: {
      version: 'v2',
      reason: 'canary',
      role: 'canary',
      experiment: '',
      assigned: 'v2',
      point: 0.034212,
      candidates: plan.candidates,
      shadows: [{ version: 'v3', fate: 'planned' }],
    },
    attempts: [
      {
        version: 'v2',
        role: 'canary',
        afterMs: 0.5,
        endpoint: 'http://10.0.0.11:8000',
        reused: false,
        queueMs: 0,
        connectMs: 0.7,
        firstByteMs: 2.3,
        totalMs: 2.4,
        status: 200,
        answerBytes: ANSWER.length,
        faultCode: '',
        faultDetail: '',
        verdict: 'success',
        sieve: null,
        hedge: null,
      },
    ],
    served: 'v2',
    reason: 'canary',
    degraded: '',
    status: 200,
    fault: null,
    answer: { bodyBytes: ANSWER.length, contentType: 'application/json' },
    finishReason: '',
    usage: null,
    kept: null,
  })
  const summary = {
    finishReason: 'stop',
    usage: { prompt: 3, completion: 4, total: 7 },
    events: -1,
    problem: '',
  }
  t.match(decisionOf({ ...exchange, summary }), { finishReason: 'stop', usage: summary.usage })
  const kept = { how: 'replayed', id: exchange.id, ageMs: 1200 } as const
  t.match(decisionOf({ ...exchange, kept }), { kept })
})

/** The answer of `attempt`, passed on as it comes. */
function passedOn(bodyBytes: number, isOpen: boolean) {
  const passed = { status: 200, headers: ['content-type', 'text/event-stream'], bodyBytes, isOpen }
  const result = { ...attempt.result, answer: null, passed }
  return { passed, attempt: { ...attempt, result } }
}

t.test('an answer that is passed on is recorded twice: when it begins, and how it ended', async (t) => {
  const log = openBenchLog()
  const recorder = new Recorder({ journal: log.lanes[0]! })
  const begun = passedOn(-1, true)
  const opened = exchangeWith({ answer: null, passed: begun.passed, attempts: [begun.attempt] })
  let released = 0
  recorder.decision(opened, (written) => {
    t.ok(written)
    released += 1
  })
  await nextTurn()
  t.equal(released, 1)
  const over = passedOn(4711, false)
  const cut = fault('truncated-answer', 'cut short', 'ECONNRESET')
  const outcome: StreamOutcome = {
    id: opened.id,
    receivedAt: opened.receivedAt,
    model: 'fraud',
    fate: 'broken',
    durationMs: 900.5,
    attempt: { ...over.attempt, verdict: 'failure', result: { ...over.attempt.result, fault: cut } },
    status: 200,
    fault: cut,
    summary: { finishReason: '', usage: null, events: 12, problem: 'no [DONE]' },
  }
  recorder.stream(outcome)
  recorder.close()
  log.writer.finish()
  t.match(await allRecords(log.dataDir), [
    {
      type: 'decision',
      digests: { request: /^[0-9a-f]{32}$/, answer: 'streamed' },
      decision: {
        attempts: [{ verdict: 'streaming', status: 200, answerBytes: -1, totalMs: 2.4 }],
        status: 200,
        answer: { bodyBytes: -1, contentType: 'text/event-stream' },
        usage: null,
      },
    },
    {
      type: 'stream',
      stream: {
        id: opened.id,
        fate: 'broken',
        durationMs: 900.5,
        attempt: { afterMs: -1, verdict: 'failure', answerBytes: 4711, faultCode: 'truncated-answer' },
        fault: { code: 'truncated-answer', message: 'cut short', detail: 'ECONNRESET' },
        bodyBytes: 4711,
        summary: outcome.summary,
      },
    },
  ])
})

t.test('a refusal before anything was known is recorded too', async (t) => {
  const refusal = exchangeWith({
    model: null,
    intent: null,
    plan: null,
    attempts: [],
    served: '',
    reason: '',
    status: 404,
    fault: fault('unknown-path', 'no dialect answers here', 'nothing'),
    answer: null,
    requestBody: new Uint8Array(0),
    asides: [],
    kept: null,
  })
  t.match(decisionOf(refusal), {
    model: '',
    plan: null,
    keySource: '',
    fault: { code: 'unknown-path', detail: 'nothing' },
    answer: null,
  })
  const asked = decisionOf({ ...refusal, model })
  t.match(asked, { model: 'fraud', operation: '', plan: null }, 'the model that was asked')
})

t.test('the record is on disk when its reply is released, and secrets are nowhere on it', async (t) => {
  const log = openBenchLog()
  const recorder = new Recorder({ journal: log.lanes[0]! })
  t.ok(recorder.available('batched'))
  const exchange = exchangeWith()
  let released = 0
  recorder.decision(exchange, (written) => {
    t.ok(written)
    released += 1
    const journals = join(log.dataDir, 'journal')
    const id = Buffer.from(exchange.id.replaceAll('-', ''), 'hex')
    t.ok(readdirSync(journals).some((name) => readFileSync(join(journals, name)).includes(id)))
  })
  t.equal(released, 0)
  await nextTurn()
  t.equal(released, 1)
  log.writer.round()
  recorder.close()
  const files = ['journal', 'segments'].flatMap((folder) =>
    readdirSync(join(log.dataDir, folder)).map((name) => join(log.dataDir, folder, name)),
  )
  for (const file of files) {
    const bytes = readFileSync(file)
    for (const secret of SECRETS) t.notOk(bytes.includes(secret), `${secret} in ${file}`)
  }
  const key = readFileSync(join(log.dataDir, KEY_FILE))
  const digest = (text: string) => createHmac('sha256', key).update(text).digest('hex').slice(0, 32)
  const [record] = await allRecords(log.dataDir)
  t.match(record, { digests: { key: digest(KEY), request: digest(BODY), answer: digest(ANSWER) } })
})

t.test('a random key has no digest: there is nobody to recognize', async (t) => {
  const log = openBenchLog()
  const recorder = new Recorder({ journal: log.lanes[0]! })
  const random = { ...intent, key: { source: 'random', value: '0.123' } }
  recorder.decision(exchangeWith({ intent: random, answer: null }), () => {})
  recorder.close()
  log.writer.finish()
  const [record] = await allRecords(log.dataDir)
  t.match(record, { decision: { keySource: 'random' }, digests: { key: 'absent', answer: 'absent' } })
})

t.test('a failed attempt keeps its fault, a shadow its comparison', async (t) => {
  const refused = fault('connect-refused', 'refused', 'ECONNREFUSED 10.0.0.11:8000')
  const failed: Attempt = {
    ...attempt,
    verdict: 'failure',
    result: { ...attempt.result, answer: null, fault: refused },
  }
  const { attempts } = decisionOf(exchangeWith({ attempts: [failed, attempt] }))
  t.match(attempts, [
    { faultCode: 'connect-refused', faultDetail: /ECONNREFUSED/, status: 0 },
    { status: 200 },
  ])
  const outcome: ShadowOutcome = {
    id: ids.next(1),
    model: 'fraud',
    version: 'v3',
    fate: 'answered',
    attempt: { ...attempt, role: 'shadow' },
    agreement: 'differ',
    differences: [0.5, null],
    endedAt: 200,
    receivedAt: 1_795_000_000_000,
  }
  t.match(shadowOf(outcome), {
    agreement: 'differ',
    differences: [0.5, null],
    attempt: { role: 'shadow', afterMs: -1 },
  })
  const log = openBenchLog()
  const recorder = new Recorder({ journal: log.lanes[0]! })
  recorder.shadow(outcome)
  recorder.event('breaker', {
    at: 1,
    model: 'fraud',
    version: 'v2',
    from: 'closed',
    to: 'open',
    cause: 'slow',
    enforced: true,
  })
  recorder.close()
  log.writer.finish()
  t.match(await allRecords(log.dataDir), [
    { type: 'shadow', shadow: shadowOf(outcome) },
    { type: 'breaker', note: { from: 'closed', to: 'open' } },
  ])
})
