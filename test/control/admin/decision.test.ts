import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Story } from '../../../src/audit/find.ts'
import { decision } from '../../../src/control/admin/resources/decision.ts'
import { tensorOf } from '../../support/ask.ts'
import { eventually } from '../../support/eventually.ts'
import { metricsOf } from '../../support/read-metrics.ts'
import { ScriptedUpstream } from '../../support/scripted-upstream.ts'
import { javascriptModel, startTestGateway } from '../../support/start-gateway.ts'

const asked = (id: string) => ({
  parameters: new Map([['id', id]]),
  query: new URLSearchParams(),
  accept: '',
  client: '127.0.0.1',
})

t.test('a decision is found by its id, told as data, and refused when it cannot be one', async (t) => {
  const gateway = await startTestGateway(t, {
    files: { 'm.js': javascriptModel('row[0]') },
    toml: '[models.m.versions.v1]\nruntime = "javascript"\nfile = "m.js"\n',
  })
  const told = await gateway.infer('m', tensorOf('x', [1]))
  const id = String(told.headers['modelgate-request-id'])
  const found = await gateway.admin(`/api/v1/decisions/${id}`)
  t.equal(found.status, 200)
  t.match(found.json(), { id, decision: { decision: { id, status: 200 } } })
  t.equal((await gateway.admin('/api/v1/decisions/00000000-0000-7000-8000-000000000000')).status, 404)
  t.equal((await gateway.admin('/api/v1/decisions/nonsense')).status, 400)
  const accesses: object[] = []
  const resource = decision(gateway.dataDir, (access, client) => accesses.push({ ...access, client }))
  const reply = await resource.get(asked(id))
  t.match(String(reply.body), id)
  const action = 'GET /api/v1/decisions/{id}'
  t.strictSame(accesses, [{ action, asked: id, records: 1, client: '127.0.0.1' }])
})

t.test('a streamed answer is told open while it is, and with its end afterwards', async (t) => {
  const words: (() => void)[] = []
  const upstream = await ScriptedUpstream.start(async (connection) => {
    await connection.request()
    connection.send('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: one\n\n')
    await new Promise<void>((resolve) => words.push(resolve))
    connection.send('data: two\n\n')
    connection.finish()
  })
  t.teardown(() => upstream.close())
  const gateway = await startTestGateway(t, {
    toml: `[models.s]\nprotocol = "raw"\n[models.s.versions.v1]\nendpoints = ["${upstream.url}"]\n`,
  })
  const asking = request({ port: gateway.port, method: 'POST', path: '/models/s/x', agent: false })
  asking.end('{}')
  const [answer] = (await once(asking, 'response')) as [IncomingMessage]
  const id = String(answer.headers['modelgate-request-id'])
  const told = async () => (await gateway.admin(`/api/v1/decisions/${id}`)).json() as Story
  const open = await told()
  t.match(open.decision?.decision, {
    served: 'v1',
    answer: { bodyBytes: -1 },
    attempts: [{ verdict: 'streaming' }],
  })
  t.equal(open.stream, null)
  const metrics = await metricsOf(gateway)
  t.equal(metrics.value('modelgate_streams_open', { model: 's', version: 'v1' }), 1)
  t.equal(metrics.sum('modelgate_requests_total'), 0, 'what is open is no finished request')
  words[0]!()
  t.equal(await text(answer), 'data: one\n\ndata: two\n\n')
  const { stream } = await eventually(async () => {
    const story = await told()
    return story.stream !== null && story
  })
  t.match(stream?.stream, { fate: 'complete', bodyBytes: 22, status: 200, attempt: { verdict: 'success' } })
  const ended = await metricsOf(gateway)
  t.equal(ended.value('modelgate_streams_open', { model: 's', version: 'v1' }), 0)
  t.equal(ended.value('modelgate_streams_total', { model: 's', version: 'v1', fate: 'complete' }), 1)
  t.equal(ended.value('modelgate_answer_body_bytes_total'), 22)
})
