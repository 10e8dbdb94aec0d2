/** How a stream ended, told by its last bytes, is what following all of it tells. */
import t from 'tap'
import { openai } from '../../../src/protocols/openai/index.ts'

const STREAM = ['content-type', 'text/event-stream; charset=utf-8']
const word = 'data: {"choices":[{"delta":{"content":"[DONE] \\n\\ndata: [DONE] \\"error\\""}}]}\n\n'
const error = (inner: string) => `data: {"error":${inner}}\n\n`
const DONE = 'data: [DONE]\n\n'

const answerOf = (text: string, headers: readonly string[] = STREAM) => ({
  status: 200,
  headers,
  body: Buffer.from(text),
})

t.test('a stream ended as following it says, however long it is and however its lines end', async (t) => {
  const usage = 'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'
  const ends = [
    DONE,
    'data:[DONE]',
    `${usage}${DONE}`,
    '',
    usage,
    error('{"message":"no","type":"InternalServerError","code":500}'),
    error('{"message":"no","type":"BadRequestError","code":400}') + DONE,
    error('{"message":"no","code":429}'),
    error('null') + DONE,
    `event: error\ndata: {"message":"no"}\n\n`,
    `event: error\ndata: no\n\n${DONE}`,
    'data: {"error":{"message":"cut',
    `: ping\n\n${DONE}: bye\n\n`,
  ]
  for (const end of ends) {
    for (const times of [0, 1, 200]) {
      for (const lineEnd of ['\n', '\r\n', '\r']) {
        const answer = answerOf((word.repeat(times) + end).replaceAll('\n', lineEnd))
        const { problem, isCallersDoing = false } = openai.summarize(answer)!
        const told = openai.endOf(answer)!
        t.same(
          { isCallersDoing: false, ...told },
          { problem, isCallersDoing },
          JSON.stringify([end, times, lineEnd]),
        )
      }
    }
  }
})

t.test(
  'of what is no stream, or packed, nothing is told; a MiB of the smallest events costs no time',
  async (t) => {
    t.equal(openai.endOf(answerOf('{}', ['content-type', 'application/json'])), null)
    t.equal(openai.endOf(answerOf('x', [...STREAM, 'content-encoding', 'gzip'])), null)
    const answer = answerOf('data:{}\n\n'.repeat(128 * 1024))
    openai.endOf(answer)
    const before = process.cpuUsage()
    for (let round = 0; round < 20; round += 1) t.match(openai.endOf(answer), { problem: 'without [DONE]' })
    const { user, system } = process.cpuUsage(before)
    // 0.1 ms each; following it takes 700.
    t.ok(user + system < 200_000, `${user + system} µs for 20`)
  },
)
