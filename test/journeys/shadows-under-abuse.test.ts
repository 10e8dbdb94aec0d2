import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { LOSSES_BURST, LOSSES_PER_SECOND } from '../../src/passage/shadow-losses.ts'
import { JSON_TYPE, tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { pour } from '../support/large-answers.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { shadowsOf, streamOf } from '../support/read-records.ts'
import { answering, plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'
import { rawGet, StreamCaller } from '../support/stream-caller.ts'
import { unusedPort } from '../support/unused-port.ts'

const ID = 'modelgate-request-id'
const MIB = 1024 * 1024
const WELL = plainAnswer(200, '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[1]}]}', [
  'content-type: application/json',
])

async function upstreamOf(t: Test, script: Script): Promise<ScriptedUpstream> {
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return upstream
}

interface Bad {
  readonly name: string
  readonly script: Script | null
  readonly fate: string
}

const poured = (target: string): Script => {
  return async (connection) => {
    await connection.request()
    await pour(connection, target)
  }
}

const BAD: readonly Bad[] = [
  { name: 'hangs', fate: 'timeout', script: async (one) => one.closed },
  {
    name: 'deaf',
    fate: 'timeout',
    script: async (connection) => {
      connection.stopReading()
      // What is not read keeps the end of the connection from being seen: only this timer ends the script.
      await pause(3_000)
    },
  },
  { name: 'endless', fate: 'too_large', script: poured(`/close/${1024 * MIB}`) },
  { name: 'gibibyte', fate: 'too_large', script: poured(`/chunks/${1024 * MIB}`) },
  { name: 'announces', fate: 'too_large', script: poured(`/length/${1024 * MIB}`) },
  { name: 'absent', fate: 'failed', script: null },
  {
    name: 'resets',
    fate: 'failed',
    script: async (connection) => {
      await connection.request()
      connection.reset()
    },
  },
  {
    name: 'nonsense',
    fate: 'failed',
    script: async (connection) => {
      await connection.request()
      connection.send('nonsense\r\n\r\n'.repeat(1000))
    },
  },
  {
    name: 'drips',
    fate: 'timeout',
    script: async (connection) => {
      await connection.request()
      await connection.drip(WELL, 60)
    },
  },
  {
    name: 'late',
    fate: 'answered',
    script: async (connection) => {
      for (;;) {
        await connection.request()
        await connection.pause(250)
        connection.send(WELL)
      }
    },
  },
]

t.test('shadows of every bad kind at once: callers, places and breakers know nothing of it', async (t) => {
  const primary = await upstreamOf(t, answering(WELL))
  const urls = await Promise.all(
    BAD.map(async ({ script }) =>
      script === null ? `http://127.0.0.1:${await unusedPort(t)}` : (await upstreamOf(t, script)).url,
    ),
  )
  const gateway = await startTestGateway(t, {
    toml: `
[models.m]
limits = { concurrent = 4, queue = 0 }
timeouts = { connect = "5s", first_byte = "5s", total = "5s" }
[models.m.versions.live]
endpoints = ["${primary.url}"]
${BAD.map(({ name }, index) => `[models.m.versions.${name}]\nendpoints = ["${urls[index]}"]\n`).join('')}
[models.m.route]
primary = "live"
shadows = [${BAD.map(({ name }) => `{ version = "${name}", timeout = "2s", max_concurrent = 64 }`).join(', ')}]
[models.m.compare]
outputs = [{ path = "/outputs/0/data/0", as = "number", tolerance = { abs = 0.5 } }]
`,
  })
  const ROUNDS = 12
  const took: number[] = []
  const ids: unknown[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const answers = await Promise.all(Array.from({ length: 3 }, () => gateway.infer('m', tensorOf('x', [1]))))
    for (const { status, headers, tookMs } of answers) {
      t.equal(status, 200)
      t.match(headers, { 'modelgate-version': 'live', 'modelgate-error': undefined })
      took.push(tookMs)
      ids.push(headers[ID])
    }
  }
  took.sort((a, b) => a - b)
  t.ok(took[took.length >> 1]! < 300, `half of the callers waited less than ${took[took.length >> 1]} ms`)
  for (const id of ids) {
    const shadows = await shadowsOf(gateway.dataDir, id, BAD.length)
    for (const { name, fate } of BAD) {
      const told = shadows.find(({ version }) => version === name)
      if (told?.fate !== fate) t.fail(`${name}: ${told?.fate} (${told?.attempt?.faultCode}), not ${fate}`)
    }
  }
  const metrics = await metricsOf(gateway)
  for (const { name, fate } of BAD) {
    const labels = { model: 'm', version: name }
    t.equal(metrics.value('modelgate_shadows_total', { ...labels, fate }), ids.length, `${name}: ${fate}`)
    t.equal(metrics.value('modelgate_breaker_state', { ...labels, state: 'closed' }), 1, name)
  }
  t.equal(metrics.value('modelgate_requests_running', { model: 'm' }), 0)
  t.same(await gateway.stop(), { abandoned: 0 })
})

t.test(
  'a shadow that always breaks off is soon asked now and then, and the rest is told as dropped',
  async (t) => {
    const primary = await upstreamOf(t, answering(WELL))
    const shadow = await upstreamOf(t, async (connection) => {
      await connection.request()
      connection.reset()
    })
    const gateway = await startTestGateway(t, {
      toml: `
[models.m.versions.live]
endpoints = ["${primary.url}"]
[models.m.versions.trial]
endpoints = ["${shadow.url}"]
[models.m.route]
primary = "live"
shadows = [{ version = "trial", timeout = "2s" }]
`,
    })
    const ASKED = LOSSES_BURST + 100
    const startedAt = performance.now()
    for (let round = 0; round < ASKED; round += 1) {
      const { status } = await gateway.infer('m', tensorOf('x', [1]))
      if (status !== 200) t.fail(`the caller got ${status}`)
    }
    const earned = Math.ceil(((performance.now() - startedAt) / 1000) * LOSSES_PER_SECOND)
    const fates = async (fate: string): Promise<number> =>
      (await metricsOf(gateway)).value('modelgate_shadows_total', { model: 'm', version: 'trial', fate })
    await eventually(async () => (await fates('failed')) + (await fates('budget')) === ASKED)
    const failed = await fates('failed')
    t.ok(failed >= LOSSES_BURST, `${failed} were sent`)
    // One more may be under way when the last of the others is lost.
    t.ok(failed <= LOSSES_BURST + earned + 1, `${failed} were sent`)
    await pause(1_000 / LOSSES_PER_SECOND + 50)
    await gateway.infer('m', tensorOf('x', [1]))
    await eventually(async () => (await fates('failed')) === failed + 1)
  },
)

const delta = (content: string) =>
  `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"chat","choices":[{"index":0,"delta":{"content":"${content}"}}]}\n\n`
const streaming =
  (words: readonly string[], end = 'data: [DONE]\n\n'): Script =>
  async (connection) => {
    for (;;) {
      await connection.request()
      connection.send(
        'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n',
      )
      for (const event of [...words.map(delta), end]) {
        if (event === '') continue
        connection.send(`${Buffer.byteLength(event).toString(16)}\r\n${event}\r\n`)
        await connection.pause(10)
      }
      connection.send('0\r\n\r\n')
    }
  }

const errorOf = (code: number) => `data: {"error":{"message":"no","code":${code}}}\n\ndata: [DONE]\n\n`

/** Fate, agreement, and how the attempt counts. */
type Verdict = readonly [string, string, string]

t.test('streams are shadowed, judged at their end, and held against each other as wholes', async (t) => {
  const primary = await upstreamOf(t, streaming(['yes', ' and', ' no']))
  const kinds: readonly (readonly [string, Script, Verdict])[] = [
    ['same', streaming(['yes and', ' no']), ['answered', 'agree', 'success']],
    ['other', streaming(['never']), ['answered', 'differ', 'success']],
    [
      'ill',
      answering(plainAnswer(200, 'no events at all', ['content-type: text/event-stream'])),
      ['failed', 'not-compared', 'failure'],
    ],
    ['ends', streaming(['yes', ' and', ' no'], ''), ['failed', 'not-compared', 'failure']],
    ['fails', streaming(['yes'], errorOf(500)), ['failed', 'not-compared', 'failure']],
    ['refuses', streaming([], errorOf(400)), ['failed', 'not-compared', 'neutral']],
  ]
  const urls = await Promise.all(kinds.map(async ([, script]) => (await upstreamOf(t, script)).url))
  const gateway = await startTestGateway(t, {
    toml: `
[models.chat]
protocol = "openai"
[models.chat.versions.live]
endpoints = ["${primary.url}"]
${kinds.map(([name], index) => `[models.chat.versions.${name}]\nendpoints = ["${urls[index]}"]\n`).join('')}
[models.chat.route]
primary = "live"
shadows = [${kinds.map(([name]) => `{ version = "${name}", timeout = "2s" }`).join(', ')}]
[models.chat.compare]
outputs = [{ path = "/choices/0/message/content", as = "label" }]
`,
  })
  const body = JSON.stringify({ model: 'chat', stream: true, messages: [{ role: 'user', content: 'x' }] })
  for (let round = 0; round < 3; round += 1) {
    const told = await gateway.ask('/v1/chat/completions', { body, headers: JSON_TYPE })
    t.equal(told.text, `${['yes', ' and', ' no'].map(delta).join('')}data: [DONE]\n\n`)
    const id = told.headers[ID]
    t.match(await streamOf(gateway.dataDir, id), { fate: 'complete', fault: null })
    const shadows = await shadowsOf(gateway.dataDir, id, kinds.length)
    for (const [name, , [fate, agreement, verdict]] of kinds) {
      const shadow = shadows.find(({ version }) => version === name)
      t.match(shadow, { fate, agreement, attempt: { verdict } }, name)
    }
  }
})

t.test('with a stream that did not end well nothing is compared', async (t) => {
  const cut = await upstreamOf(t, streaming(['yes'], ''))
  const whole = await upstreamOf(t, streaming(['yes']))
  const gateway = await startTestGateway(t, {
    toml: `
[models.chat]
protocol = "openai"
[models.chat.versions.live]
endpoints = ["${cut.url}"]
[models.chat.versions.trial]
endpoints = ["${whole.url}"]
[models.chat.route]
primary = "live"
shadows = [{ version = "trial" }]
[models.chat.compare]
outputs = [{ path = "/choices/0/message/content", as = "label" }]
`,
  })
  const body = JSON.stringify({ model: 'chat', stream: true, messages: [{ role: 'user', content: 'x' }] })
  const told = await gateway.ask('/v1/chat/completions', { body, headers: JSON_TYPE })
  t.match(await streamOf(gateway.dataDir, told.headers[ID]), { fault: { code: 'incomplete-stream' } })
  const shadows = await shadowsOf(gateway.dataDir, told.headers[ID])
  t.match(shadows, [{ fate: 'answered', agreement: 'not-compared', attempt: { verdict: 'success' } }])
})

t.test('a caller that leaves its stream leaves its shadows to their own end', async (t) => {
  const endless = await upstreamOf(t, streaming(Array.from({ length: 500 }, () => 'x')))
  const shadow = await upstreamOf(t, streaming(['a', 'b', 'c']))
  const gateway = await startTestGateway(t, {
    toml: `
[models.m]
protocol = "raw"
[models.m.versions.live]
endpoints = ["${endless.url}"]
[models.m.versions.trial]
endpoints = ["${shadow.url}"]
[models.m.route]
primary = "live"
shadows = [{ version = "trial", timeout = "2s" }]
`,
  })
  const caller = await StreamCaller.ask(gateway.port, rawGet('m'))
  const headers = await caller.opened
  caller.leave()
  t.match(await streamOf(gateway.dataDir, headers.get(ID)), { fate: 'client-gone' })
  t.match(await shadowsOf(gateway.dataDir, headers.get(ID)), [
    { fate: 'answered', agreement: 'not-compared' },
  ])
  await eventually(() => endless.openCount === 0)
  t.same(await gateway.stop(), { abandoned: 0 })
})
