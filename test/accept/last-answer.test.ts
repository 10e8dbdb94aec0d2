/** Answers in parts that end their connection: whole, and nothing behind them is taken for a request. */
import t from 'tap'
import { startLarge } from '../support/large-answers.ts'
import { RawClient } from '../support/raw-client.ts'
import { startTestGateway } from '../support/start-gateway.ts'

const MIB = 1024 * 1024
const CHUNKED = 'transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'
const WAYS = [CHUNKED, 'content-length: 0\r\nconnection: keep-alive, Close\r\n\r\n']
const PATIENCE_MS = 60_000

t.test('behind an answer that ends its connection nothing is read any more', async (t) => {
  const endpoint = await startLarge()
  t.teardown(() => endpoint.close())
  const gateway = await startTestGateway(t, {
    toml: `[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
limits = { chunked_requests = "accept" }
[models.m]
protocol = "raw"
timeouts = { queue = "60s", connect = "60s", first_byte = "60s", total = "60s" }
[models.m.versions.v1]
endpoints = ["${endpoint.url}"]
`,
  })
  const ask = async (rest: string, way: string) => {
    const client = await RawClient.open(gateway.port)
    client.send(`POST /models/m/${rest} HTTP/1.1\r\nhost: a\r\n${way}`)
    return { client, answer: await client.answer(PATIENCE_MS) }
  }
  const behindAnother = async (rest: string, way: string) => {
    const { client, answer } = await ask(rest, way)
    t.equal(answer.body.length, Number(rest.split('/')[1]), `${rest} is whole`)
    t.match([answer.complete, answer.headers.get('connection')], [true, 'close'], rest)
    client.send('GET /models/m/length/5 HTTP/1.1\r\nhost: a\r\n\r\n')
    t.match(await client.answer(400), { status: 0 }, `${rest}: no second answer`)
    client.close()
  }
  const alone = async (rest: string) => {
    const { client, answer } = await ask(rest, 'content-length: 0\r\nconnection: close\r\n\r\n')
    t.ok(answer.complete, rest)
    t.ok(await client.closed(PATIENCE_MS), `${rest}: the connection ends with the last byte`)
    client.close()
  }
  const sizes = [`length/${100_000}`, `length/${4 * MIB}`, `chunks/${2 * MIB}`, 'chunks/10']
  await Promise.all(sizes.flatMap((rest) => [alone(rest), ...WAYS.map((way) => behindAnother(rest, way))]))
})
