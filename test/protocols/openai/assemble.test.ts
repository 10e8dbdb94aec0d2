/** A streamed answer is read as the plain one that its events make. */
import { equal } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { assemble } from '../../../src/protocols/openai/assemble.ts'
import { openai } from '../../../src/protocols/openai/index.ts'
import { makeRemoteVersion } from '../../support/make-model.ts'

const event = (document: unknown) =>
  `data: ${typeof document === 'string' ? document : JSON.stringify(document)}\n\n`
const delta = (content: object, index = 0, more: object = {}) =>
  event({
    id: 'c1',
    object: 'chat.completion.chunk',
    choices: [{ index, delta: content, finish_reason: null, ...more }],
  })

function read(stream: string | Buffer, ...pointers: string[]) {
  const headers = ['content-type', 'text/event-stream']
  const answer = { status: 200, headers, body: Buffer.from(stream as string) }
  return openai.readExact(
    answer,
    pointers.map((pointer) => pointer.slice(1).split('/')),
  )
}

t.test('texts are joined for each choice, and what comes last counts', async (t) => {
  const stream = [
    delta({ role: 'assistant', content: '' }),
    ': ping\n\n',
    delta({ content: 'Hel' }),
    delta({ content: 'other' }, 1),
    delta({ content: 'lo "you" \n' }),
    event('{"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}'),
    event('{"choices":[{"index":0,"delta":{"content":"\\ude00 é"}}]}'),
    delta({ reasoning_content: 'hm' }),
    delta({}, 0, { finish_reason: 'stop' }),
    event('{"choices":[],"usage":{"total_tokens":9007199254740993}}'),
    'data: [DONE]\n\n',
    delta({ content: ' and what comes after the end' }),
  ].join('')
  t.same(
    read(
      stream,
      '/choices/0/message/content',
      '/choices/1/message/content',
      '/choices/0/message/role',
      '/choices/0/message/reasoning_content',
      '/choices/0/finish_reason',
      '/usage/total_tokens',
      '/object',
      '/id',
      '/choices/2/index',
    ),
    [
      'Hello "you" \n😀 é',
      'other',
      'assistant',
      'hm',
      'stop',
      9007199254740993n,
      'chat.completion',
      'c1',
      undefined,
    ],
  )
})

t.test('tool calls, old function calls and plain completions are put together, too', async (t) => {
  const call = (index: number, more: object) => delta({ tool_calls: [{ index, ...more }] })
  const tools = [
    call(0, { id: 'a', type: 'function', function: { name: 'add', arguments: '' } }),
    call(0, { function: { arguments: '{"x"' } }),
    call(1, { id: 'b', function: { name: 'mul', arguments: '{}' } }),
    call(0, { function: { arguments: ':1}' } }),
  ].join('')
  const at = '/choices/0/message/tool_calls'
  t.same(
    read(
      tools,
      `${at}/0/function/arguments`,
      `${at}/0/function/name`,
      `${at}/0/id`,
      `${at}/1/function/arguments`,
      `${at}/1/index`,
    ),
    ['{"x":1}', 'add', 'a', '{}', 1],
  )
  const old = [{ name: 'f', arguments: '' }, { arguments: '{' }, { arguments: '}' }]
  const calls = old.map((function_call) => delta({ function_call })).join('')
  t.same(read(calls, '/choices/0/message/function_call/arguments', '/choices/0/message/function_call/name'), [
    '{}',
    'f',
  ])
  const text = ['a', 'b']
    .map((piece) => event({ object: 'text_completion', choices: [{ index: 0, text: piece }] }))
    .join('')
  t.same(read(text, '/choices/0/text', '/choices/0/message/content', '/object'), [
    'ab',
    undefined,
    'text_completion',
  ])
})

t.test('nothing that a stream says breaks the reader', async (t) => {
  const at = '/choices/0/message/content'
  for (const stream of [
    '',
    'data: [DONE]\n\n',
    'data: {"choices":\n\n',
    '\xff\xfe',
    event('[]'),
    event({ choices: 1 }),
  ]) {
    t.same(read(stream, at), [undefined], stream)
  }
  for (const index of [-1, 0.5, 1e9, 128, null, 'x']) {
    t.doesNotThrow(() => read(event({ choices: [{ index, delta: { content: 'x' } }] }), at), `${index}`)
  }
  const names = '{"choices":[{"delta":{"Ģ\\u0022":"a","x":{"y":1},"content":"ok"},"extra":1},7]}'
  t.same(read(event(names), at, '/choices/0/message/x/y'), ['ok', 1])
  t.same(read(event(names).replace('\n\n', ''), at), [undefined], 'an event that never ended is none')
  const binary = Buffer.concat([
    Buffer.from('data: {"choices":[{"delta":{"content":"'),
    Buffer.from([0xff]),
    Buffer.from('"}}]}\n\n'),
  ])
  t.same(read(binary, at), [undefined], 'no text')
  const gzip = {
    status: 200,
    headers: ['content-type', 'text/event-stream', 'content-encoding', 'gzip'],
    body: binary,
  }
  t.same(openai.readAnswer(gzip, [['choices']]), [undefined])
})

t.test('a held stream is renamed event by event', async (t) => {
  const version = makeRemoteVersion(1, { rename: { model: 'theirs', version: null } })
  const body = Buffer.from(
    'data: {"model":"theirs"}\n\ndata: {"x":1,"model":"theirs"}\n\ndata: [DONE]\n\n: end',
  )
  const answer = { status: 200, headers: ['content-type', 'text/event-stream'], body }
  t.equal(
    Buffer.from(openai.renameAnswer!(answer, version).body).toString(),
    body.toString().replaceAll('theirs', 'fraud'),
  )
})

t.test(
  'whatever the events say, what they make is JSON, and every text is the sum of its pieces',
  async (t) => {
    const text = fc.string({ unit: 'binary', maxLength: 6 })
    const said = fc.record({ index: fc.nat(2), content: text, more: fc.jsonValue({ maxDepth: 2 }) })
    const noise = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.record({ choices: fc.jsonValue({ maxDepth: 3 }) }),
    )
    const events = fc.array(fc.oneof(said, noise), { maxLength: 12 })
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(events, (list) => {
          const sums = new Map<number, string>()
          const stream = list.map((one) => {
            if (!isSaid(one)) return event({ noise: one, choices: (one as { choices?: unknown })?.choices })
            sums.set(one.index, (sums.get(one.index) ?? '') + one.content)
            return delta({ content: one.content, more: one.more }, one.index)
          })
          const bytes = assemble(Buffer.from(stream.join('')))
          if (bytes === null) return equal(list.length, 0)
          const made = JSON.parse(Buffer.from(bytes).toString()) as {
            choices: { index: number; message?: { content?: string } }[]
          }
          for (const [index, sum] of sums) {
            const choice = made.choices.find((one) => one.index === index)
            equal(choice?.message?.content, sum)
          }
        }),
        { numRuns: 1000 },
      ),
    )
  },
)

function isSaid(one: unknown): one is { index: number; content: string; more: unknown } {
  return typeof one === 'object' && one !== null && 'content' in one && 'more' in one
}
