/**
 * Streamed answers from an endpoint that sends bytes as no tidy server does, read by the API's own client: in pieces of
 * any size, with any line ends, packed, or broken off in the middle of an event.
 */
import { gzipSync } from 'node:zlib'
import OpenAI from 'openai'
import t from 'tap'
import { type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

t.test('however an endpoint cuts its bytes and ends its lines, its client reads the same', async (t) => {
  const text = (content: string) =>
    `data: ${JSON.stringify({ id: 'c', model: 'org/theirs', choices: [{ index: 0, delta: { content } }] })}`
  const stream = [': hi', '', text('Zür'), '', ': ping', '', text('ich €'), '', 'data: [DONE]', '', ''].join(
    '\r\n',
  )
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n'
  const half = `${text('whole')}\n\n${text('half').slice(0, 30)}`
  const drip =
    (bytes: string, length: number): Script =>
    async (connection) => {
      await connection.request()
      connection.send(`${head}content-length: ${length}\r\n\r\n`)
      await connection.drip(bytes, 1, 7)
      connection.finish()
    }
  const dripping = await ScriptedUpstream.start(drip(stream, Buffer.byteLength(stream)))
  const breaking = await ScriptedUpstream.start(drip(half, 1000))
  const packed = gzipSync(stream)
  const packing = await ScriptedUpstream.start(async (connection) => {
    await connection.request()
    connection.send(`${head}content-encoding: gzip\r\ncontent-length: ${packed.length}\r\n\r\n`)
    connection.send(packed)
  })
  for (const upstream of [dripping, breaking, packing]) t.teardown(() => upstream.close())
  const version = (name: string, url: string, more = '') =>
    `[models.${name}]\nprotocol = "openai"\ntimeouts = { connect = "20s" }\n[models.${name}.versions.v1]\nendpoints = ["${url}"]\n${more}\n`
  const rename = 'rename = { model = "org/theirs" }'
  const gateway = await startTestGateway(t, {
    toml: [
      version('plain', dripping.url),
      version('named', dripping.url, rename),
      version('half', breaking.url),
      version('half-named', breaking.url, rename),
      version('packed', packing.url, rename),
    ].join(''),
  })
  const client = new OpenAI({ baseURL: `http://127.0.0.1:${gateway.port}/v1`, apiKey: 'k', maxRetries: 0 })
  const read = async (model: string) => {
    const told = { text: '', model: '', error: null as unknown }
    try {
      for await (const chunk of await client.chat.completions.create({ model, messages: [], stream: true })) {
        told.text += chunk.choices[0]?.delta.content ?? ''
        told.model = chunk.model
      }
    } catch (error) {
      told.error = error
    }
    return told
  }
  t.same(await read('plain'), { text: 'Zürich €', model: 'org/theirs', error: null })
  t.same(await read('named'), { text: 'Zürich €', model: 'named', error: null })
  t.same(
    await read('packed'),
    { text: 'Zürich €', model: 'org/theirs', error: null },
    'what is packed stays so',
  )
  const half1 = await read('half-named')
  t.match(half1, { text: 'whole', error: { code: 'truncated-answer' } }, 'half an event is held back')
  const half2 = await read('half')
  t.match(
    half2,
    { text: 'whole', error: { code: 'truncated-answer' } },
    'and so it is where nothing is renamed',
  )
})
