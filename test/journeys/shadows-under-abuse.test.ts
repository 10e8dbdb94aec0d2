/**
 * Shadows that do everything wrong, through one gateway with a model for each test. Those that hang have a timeout that
 * ends soon, the others one that no machine exceeds.
 */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { LOSSES_BURST, LOSSES_PER_SECOND } from '../../src/passage/shadow-losses.ts'
import { JSON_TYPE, tensorOf } from '../support/ask.ts'
import { askShadowed } from '../support/ask-shadowed.ts'
import { eventually } from '../support/eventually.ts'
import { pour } from '../support/large-answers.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { streamOf } from '../support/read-records.ts'
import { answering, plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'
import { rawGet, StreamCaller } from '../support/stream-caller.ts'
import { unusedPort } from '../support/unused-port.ts'

const ID = 'modelgate-request-id'
const MIB = 1024 * 1024
const WELL = plainAnswer(200, '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[1]}]}', [
  'content-type: application/json',
])

async function upstreamOf(script: Script): Promise<ScriptedUpstream> {
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
      await connection.closed
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

/** Of those that hang: a caller that waited for one would wait as long. */
const HANG_MS = 1_000

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

/** Events for as long as anybody takes them. */
const endless: Script = async (connection) => {
  await connection.request()
  connection.send('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n')
  while (!connection.isClosed) {
    connection.send('9\r\ndata: x\n\n\r\n')
    await connection.pause(10)
  }
}

/** Fate, agreement, and how the attempt counts. */
type Verdict = readonly [string, string, string]

const KINDS: readonly (readonly [string, Script, Verdict])[] = [
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

interface Version {
  readonly name: string
  readonly url: string
  readonly timeout?: string
}

/** A model that is served by `live` and shadowed by all others. */
function model(name: string, live: string, shadows: readonly Version[], more = ''): string {
  return `
[models.${name}]
timeouts = { connect = "20s", first_byte = "20s", idle = "20s", total = "60s" }
${more}
[models.${name}.versions.live]
endpoints = ["${live}"]
${shadows.map((shadow) => `[models.${name}.versions.${shadow.name}]\nendpoints = ["${shadow.url}"]\n`).join('')}
[models.${name}.route]
primary = "live"
shadows = [${shadows.map((shadow) => `{ version = "${shadow.name}", timeout = "${shadow.timeout ?? '1m'}", max_concurrent = 64 }`).join(', ')}]
`
}

const urlOf = async (script: Script): Promise<string> => (await upstreamOf(script)).url
const well = await urlOf(answering(WELL))
const bad = await Promise.all(
  BAD.map(async ({ name, script, fate }) => {
    const url = script === null ? `http://127.0.0.1:${await unusedPort(t)}` : await urlOf(script)
    return { name, url, timeout: fate === 'timeout' ? `${HANG_MS}ms` : '1m' }
  }),
)
const kinds = await Promise.all(KINDS.map(async ([name, script]) => ({ name, url: await urlOf(script) })))
const resetting = await urlOf(async (connection) => {
  await connection.request()
  connection.reset()
})
const left = await upstreamOf(endless)
const OPENAI = 'protocol = "openai"'
const COMPARED = (name: string) =>
  `[models.${name}.compare]\noutputs = [{ path = "/choices/0/message/content", as = "label" }]\n`

const gateway = await startTestGateway(t, {
  toml: `[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
data_dir = "data"
grace = "30s"
${model('m', well, bad, 'limits = { concurrent = 8, queue = 0 }')}
[models.m.compare]
outputs = [{ path = "/outputs/0/data/0", as = "number", tolerance = { abs = 0.5 } }]
${model('losing', well, [{ name: 'trial', url: resetting }])}
${model('chat', await urlOf(streaming(['yes', ' and', ' no'])), kinds, OPENAI)}${COMPARED('chat')}
${model('cut', await urlOf(streaming(['yes'], '')), [{ name: 'trial', url: await urlOf(streaming(['yes'])) }], OPENAI)}${COMPARED('cut')}
${model('left', left.url, [{ name: 'trial', url: await urlOf(streaming(['a', 'b', 'c'])) }], 'protocol = "raw"')}
`,
})

const chat = (name: string) =>
  gateway.ask('/v1/chat/completions', {
    body: JSON.stringify({ model: name, stream: true, messages: [{ role: 'user', content: 'x' }] }),
    headers: JSON_TYPE,
  })

t.test('shadows of every bad kind at once: callers, places and breakers know nothing of it', async (t) => {
  const took: number[] = []
  // As many as there are places, and then again: nobody holds one any more.
  for (let round = 0; round < 2; round += 1) {
    const ask = () => gateway.infer('m', tensorOf('x', [1]))
    const all = Array.from({ length: 8 }, () => askShadowed(gateway, ask, BAD.length))
    for (const { told, shadows } of await Promise.all(all)) {
      t.equal(told.status, 200)
      t.match(told.headers, { 'modelgate-version': 'live', 'modelgate-error': undefined })
      took.push(told.tookMs)
      for (const { name, fate } of BAD) {
        const shadow = shadows.find(({ version }) => version === name)
        if (shadow?.fate !== fate)
          t.fail(`${name}: ${shadow?.fate} (${shadow?.attempt?.faultCode}), not ${fate}`)
      }
    }
  }
  // A slow machine makes all of them slow, but nobody fast who waits for a shadow.
  while (Math.min(...took) >= HANG_MS && took.length < 30)
    took.push((await gateway.infer('m', tensorOf('x', [1]))).tookMs)
  t.ok(Math.min(...took) < HANG_MS, `one waited for ${Math.min(...took)} ms, not for a shadow that hangs`)
  const metrics = await metricsOf(gateway)
  for (const { name, fate } of BAD) {
    const labels = { model: 'm', version: name }
    const told = metrics.value('modelgate_shadows_total', { ...labels, fate })
    const unsent = metrics.value('modelgate_shadows_total', { ...labels, fate: 'overload' })
    t.ok(told >= 16, `${name}: ${told} ${fate}`)
    t.equal(metrics.sum('modelgate_shadows_total', labels), told + unsent, `${name}: and nothing else`)
    t.equal(metrics.value('modelgate_breaker_state', { ...labels, state: 'closed' }), 1, name)
  }
  t.equal(metrics.value('modelgate_requests_running', { model: 'm' }), 0)
})

t.test(
  'a shadow that always breaks off is soon asked now and then, and the rest is told as dropped',
  async (t) => {
    const ASKED = LOSSES_BURST + 40
    const startedAt = performance.now()
    const fates = async (fate: string): Promise<number> =>
      (await metricsOf(gateway)).value('modelgate_shadows_total', { model: 'losing', version: 'trial', fate })
    const askOnce = async () => {
      const { status } = await gateway.infer('losing', tensorOf('x', [1]))
      if (status !== 200) t.fail(`the caller got ${status}`)
    }
    // Those that are not copied because the machine is busy cost the shadow nothing.
    let asked = 0
    for (let left = ASKED; left > 0; left = ASKED + (await fates('overload')) - asked) {
      for (let round = 0; round < left; round += 1) await askOnce()
      asked += left
    }
    const earned = Math.ceil(((performance.now() - startedAt) / 1000) * LOSSES_PER_SECOND)
    await eventually(async () => {
      const told = (await fates('failed')) + (await fates('budget')) + (await fates('overload'))
      return told === asked
    })
    const failed = await fates('failed')
    t.ok(failed >= LOSSES_BURST, `${failed} were sent`)
    // One more may be under way when the last of the others is lost.
    t.ok(failed <= LOSSES_BURST + earned + 1, `${failed} were sent`)
    const again = async () => {
      await pause(100)
      await askOnce()
      return (await fates('failed')) > failed
    }
    await eventually(again, { until: 'it is asked again' })
  },
)

t.test('streams are shadowed, judged at their end, and held against each other as wholes', async (t) => {
  for (let round = 0; round < 2; round += 1) {
    const { told, shadows } = await askShadowed(gateway, () => chat('chat'), KINDS.length)
    t.equal(told.text, `${['yes', ' and', ' no'].map(delta).join('')}data: [DONE]\n\n`)
    const id = told.headers[ID]
    t.match(await streamOf(gateway.dataDir, id), { fate: 'complete', fault: null })
    for (const [name, , [fate, agreement, verdict]] of KINDS) {
      const shadow = shadows.find(({ version }) => version === name)
      t.match(shadow, { fate, agreement, attempt: { verdict } }, name)
    }
  }
})

t.test('with a stream that did not end well nothing is compared', async (t) => {
  const { told, shadows } = await askShadowed(gateway, () => chat('cut'))
  t.match(await streamOf(gateway.dataDir, told.headers[ID]), { fault: { code: 'incomplete-stream' } })
  t.match(shadows, [{ fate: 'answered', agreement: 'not-compared', attempt: { verdict: 'success' } }])
})

t.test('a caller that leaves its stream leaves its shadows to their own end', async (t) => {
  const openAndLeave = async () => {
    const caller = await StreamCaller.ask(gateway.port, rawGet('left'))
    const headers = await caller.opened
    caller.leave()
    t.match(await streamOf(gateway.dataDir, headers.get(ID)), { fate: 'client-gone' })
    return { headers: { [ID]: headers.get(ID) } }
  }
  const { shadows } = await askShadowed(gateway, openAndLeave)
  t.match(shadows, [{ fate: 'answered', agreement: 'not-compared' }])
  await eventually(() => left.openCount === 0)
})

t.test('nothing of all that is left over at a stop', async (t) => {
  t.same(await gateway.stop(), { abandoned: 0 })
})
