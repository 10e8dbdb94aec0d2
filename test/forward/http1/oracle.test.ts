/**
 * A bounded sample of the long campaign `npm run fuzz -- answers`: the reader against Node's own HTTP
 * client, which shares no code with it. The laws are in scripts/fuzz/judge-answer.ts. The reader may refuse
 * more than Node does, for reasons on a list: that is the point of it.
 */
import fc from 'fast-check'
import t from 'tap'
import { answerCases } from '../../../scripts/fuzz/answer-cases.ts'
import { judgeAnswer } from '../../../scripts/fuzz/judge-answer.ts'
import { nodeReads } from '../../../scripts/fuzz/node-reader.ts'
import { corpus } from './corpus.ts'

t.test(
  'what is accepted Node accepts and reads the same, and what is cut short is so for both',
  async (t) => {
    const outcomes = new Map<string, number>()
    const law = fc.asyncProperty(answerCases(), async (one) => {
      const { outcome, broken } = await judgeAnswer(one)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      if (broken !== '') throw new Error(broken)
    })
    await t.resolves(fc.assert(law, { numRuns: 8_000 }))
    for (const outcome of ['end', 'end by close', 'truncated']) {
      t.ok((outcomes.get(outcome) ?? 0) > 300, `${outcomes.get(outcome)} cases come to ${outcome}`)
    }
    t.ok(outcomes.size > 20, `the rest is refused for ${outcomes.size - 3} reasons`)
  },
)

t.test('the corpus keeps the laws, too', async (t) => {
  for (const file of ['good.txt', 'evil.txt'] as const) {
    for (const { name, keys, bytes } of corpus(file)) {
      const { broken } = await judgeAnswer({ method: keys.get('method') ?? 'GET', bytes, cuts: [] })
      t.equal(broken, '', name)
    }
  }
})

t.test('the other reader sees what there is to see', async (t) => {
  const bytes = Buffer.from('HTTP/1.1 103 E\r\n\r\nHTTP/1.1 201 C\r\nX: Y\r\nContent-Length: 2\r\n\r\nok')
  const whole = await nodeReads(bytes, 'GET', false)
  t.match(whole, {
    isComplete: true,
    hasFailed: false,
    status: 201,
    interims: 1,
    body: 'ok',
    keepsAlive: true,
  })
  t.strictSame(whole.headers.slice(0, 2), ['x', 'Y'])
  t.equal((await nodeReads(bytes.subarray(0, -1), 'GET', true)).isComplete, false)
  t.equal((await nodeReads(Buffer.from('nonsense'), 'GET', false)).hasFailed, true)
})
