/** Streamed answers: what is seen in them, when bytes leave, what is held, and what it comes to. */
import t from 'tap'
import type { AnswerSummary } from '../../../src/domain/outcome.ts'
import { EVENT_BYTES_MAX, EventFramer } from '../../../src/protocols/event-framer.ts'
import { openai } from '../../../src/protocols/openai/index.ts'
import { makeRemoteVersion } from '../../support/make-model.ts'

const HEAD = { status: 200, headers: ['content-type', 'text/event-stream; charset=utf-8'], bodyBytes: -1 }
const RENAMED = makeRemoteVersion(1, { rename: { model: 'theirs', version: null } })

const open = (version = makeRemoteVersion(1)) => openai.tap(HEAD, version)!
const event = (document: unknown) => `data: ${JSON.stringify(document)}\n\n`
const chunk = (choice: object, more: object = {}) =>
  event({ id: 'c1', model: 'theirs', choices: [{ index: 0, ...choice }], ...more })
const delta = (content: object) => chunk({ delta: content, finish_reason: null }, { usage: null })
const USAGE = { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21 }

function told(text: string): AnswerSummary {
  const tap = open()
  tap.push(Buffer.from(text))
  tap.rest()
  return tap.summary()
}

t.test('why it stopped, how many tokens, how many events, and whether it was whole', async (t) => {
  const whole = [
    delta({ role: 'assistant', content: '' }),
    ': ping\n\n',
    delta({ content: 'Hi' }),
    chunk({ delta: {}, finish_reason: 'length' }),
    event({ id: 'c1', choices: [], usage: USAGE }),
    'data: [DONE]\n\n',
  ].join('')
  const usage = { prompt: 9, completion: 12, total: 21 }
  t.same(told(whole), { finishReason: 'length', usage, events: 5, problem: '' })
  t.same(told(whole.replaceAll('\n', '\r\n')), told(whole))
  t.same(told(whole.replaceAll('\n', '\r')), told(whole))
  t.match(told(whole.replace('data: [DONE]\n\n', '')), { finishReason: 'length', problem: 'without [DONE]' })
  t.match(told(whole.replace('[DONE]\n\n', '[DONE]')), { problem: '', events: 4 }, 'clients forgive that')
  t.match(told(''), { finishReason: '', usage: null, events: 0, problem: 'without [DONE]' })
  t.match(told(event({ choices: [], usage: { prompt_tokens: 1.5, total_tokens: 'x' } })).usage, {
    prompt: -1,
    completion: -1,
    total: -1,
  })
  t.equal(told(chunk({ delta: {}, finish_reason: 'x'.repeat(100) })).finishReason.length, 32)
  t.equal(
    told(chunk({ text: 'a "finish_reason":"y"', finish_reason: null })).finishReason,
    '',
    'words in a text',
  )
})

t.test('an error that is the request’s own is told as such', async (t) => {
  const of = (error: object) => told(`data: ${JSON.stringify({ error })}\n\n`).isCallersDoing ?? false
  t.equal(of({ type: 'invalid_request_error', code: null }), true)
  t.equal(of({ type: 'x', code: 429 }), true)
  t.equal(of({ type: 'server_error', code: 500 }), false)
  t.equal(of({ message: 'type invalid_request_error' }), false)
})

t.test('an error event is a problem, whatever comes after it', async (t) => {
  for (const text of [
    event({ error: { message: 'out of memory', code: 500 } }),
    event({ error: 'boom' }),
    'event: error\ndata: {"message":"x"}\n\n',
    'event:error\ndata: not JSON\n\n',
  ]) {
    t.equal(told(`${delta({ content: 'x' })}${text}data: [DONE]\n\n`).problem, 'with an error event', text)
  }
  t.equal(told('data: [DONE]\n\ndata: {"error":{}}\n\n').problem, '', 'clients read no further than [DONE]')
  t.equal(told(`${event({ choices: [], error: null })}data: [DONE]\n\n`).problem, '')
})

t.test('content is what the model says; pings, roles and empty deltas are not', async (t) => {
  const awaits = (...texts: string[]) => {
    const tap = open()
    for (const text of texts) tap.push(Buffer.from(text))
    return tap.awaitsContent
  }
  t.ok(awaits())
  for (const text of [
    ': ping\n\n',
    'retry: 10\n\n',
    delta({ role: 'assistant' }),
    delta({ role: 'assistant', content: '' }),
    delta({ content: null, tool_calls: [] }),
    chunk({ text: '' }),
    event({ choices: [], usage: USAGE }),
    event({ choices: [], prompt_filter_results: [{ x: 1 }] }),
    delta({ content: 'x' }).slice(0, -1),
    'data: no JSON\n\n',
    'event: ping\ndata: {}\n\n',
  ]) {
    t.ok(awaits(text), text)
  }
  for (const text of [
    delta({ content: 'x' }),
    delta({ reasoning_content: 'hm' }),
    delta({ refusal: 'no' }),
    delta({ tool_calls: [{ index: 0, function: { name: 'f' } }] }),
    delta({ function_call: { name: 'f' } }),
    chunk({ text: 'x' }),
    chunk({ delta: {}, finish_reason: 'stop' }),
    event({ error: {} }),
    'data: [DONE]\n\n',
  ]) {
    t.notOk(awaits(text), text)
  }
  t.notOk(awaits(delta({ content: 'x' }).slice(0, 20), delta({ content: 'x' }).slice(20)))
})

t.test(
  'whole events leave in their push, as the very bytes; half of one waits for its other half',
  async (t) => {
    const watched = open()
    const whole = Buffer.from('data: {"a":1}\n\n: ping\r\n\r\n')
    t.equal(watched.push(whole), whole, 'not even copied')
    const passed = (text: string) => Buffer.from(watched.push(Buffer.from(text))).toString()
    t.equal(passed('data: 1\n\ndata: {"mo'), 'data: 1\n\n')
    t.equal(passed('del"'), '')
    t.equal(passed(':2}\n\ndata'), 'data: {"model":2}\n\n')
    t.equal(passed(': 3\r\n\r'), 'data: 3\r\n\r')
    t.equal(passed('\ndata: 4'), '\n')
    t.equal(Buffer.from(watched.rest()).toString(), 'data: 4', 'for an end in good order')
    t.equal(watched.rest().length, 0)

    const renaming = open(RENAMED)
    const push = (text: string) => Buffer.from(renaming.push(Buffer.from(text))).toString()
    t.equal(push('data: {"model":"theirs",'), '')
    t.equal(push('"n":1.0}\n'), '')
    t.equal(
      push('\ndata: {"a":{"model":"theirs"}}\n\nda'),
      'data: {"model":"fraud","n":1.0}\n\ndata: {"a":{"model":"theirs"}}\n\n',
    )
    t.equal(
      push('ta: {"x":"model","model" :\t"a\\"b"}\r\n\r'),
      'data: {"x":"model","model" :\t"fraud"}\r\n\r',
    )
    t.equal(push('\n: ping\n\n'), '\n: ping\n\n')
    t.equal(
      push('data: {"x":[{"model":"theirs"}],\ndata: "model":\ndata: "theirs"}\n\n'),
      'data: {"x":[{"model":"theirs"}],\ndata: "model":\ndata: "fraud"}\n\n',
    )
    t.equal(
      push('data: {"model":"a","model":"b"}\n\n'),
      'data: {"model":"a","model":"fraud"}\n\n',
      'the last counts',
    )
    for (const text of [
      'data: {"model":1}\n\n',
      'data: {"model":"x\n\n',
      'data: {"model":"x\ndata: y"}\n\n',
      'data: "model"\n\n',
      'data: {"model":"\\\n\n',
    ]) {
      t.equal(push(text), text, 'nothing to replace')
    }
    t.equal(push('data: {"model":"theirs"}'), '')
    t.equal(Buffer.from(renaming.rest()).toString(), 'data: {"model":"theirs"}', 'clients drop it')
    t.equal(renaming.rest().length, 0)
  },
)

t.test('one event too long is passed on unseen and holds nothing; the next is seen again', async (t) => {
  const long = `data: {"model":"theirs","choices":[{"delta":{"content":"${'x'.repeat(EVENT_BYTES_MAX)}"}}]}\n\n`
  const text = `${long}${chunk({ delta: {}, finish_reason: 'stop' })}data: [DONE]\n\n`
  const outputs = [1, 1000, 65_536, text.length].map((size) => {
    const tap = open(RENAMED)
    const parts: Buffer[] = []
    let held = 0
    for (let at = 0; at < text.length; at += size) {
      const piece = Buffer.from(text.slice(at, at + size))
      const passed = Buffer.from(tap.push(piece))
      held += piece.length - passed.length
      if (held > EVENT_BYTES_MAX) t.fail(`${held} bytes are held`)
      parts.push(passed)
    }
    return { text: Buffer.concat(parts).toString(), summary: tap.summary() }
  })
  for (const output of outputs) t.same(output, outputs[0])
  t.ok(outputs[0]!.text.startsWith(long), 'untouched')
  t.match(outputs[0]!.text.slice(long.length), /"model":"fraud"/)
  t.match(outputs[0]!.summary, { finishReason: 'stop', events: 2, problem: '' })
  const exact = Buffer.alloc(EVENT_BYTES_MAX, 'x')
  exact.set([0x0a, 0x0a], EVENT_BYTES_MAX - 2)
  for (const [bytes, seen] of [
    [exact, 1],
    [Buffer.concat([Buffer.from('x'), exact]), 0],
  ] as const) {
    let events = 0
    const framer = new EventFramer({
      event: () => {
        events += 1
      },
      unseen: () => {},
    })
    framer.push(bytes.subarray(0, bytes.length - 1))
    framer.push(bytes.subarray(bytes.length - 1))
    t.equal(events, seen, `${bytes.length} bytes`)
  }
})

t.test('only a stream of events that can be read is followed', async (t) => {
  const version = makeRemoteVersion(1)
  const tap = (...headers: string[]) => openai.tap({ status: 200, headers, bodyBytes: -1 }, version)
  t.equal(tap('content-type', 'application/json'), null)
  t.equal(tap(), null)
  t.equal(tap('content-type', 'text/event-stream', 'content-encoding', 'br'), null)
  t.not(tap('content-type', 'Text/Event-Stream', 'content-encoding', 'identity'), null)
})

t.test(
  'an answer held whole tells the same: plain, long, streamed, or nothing that can be read',
  async (t) => {
    const summarize = (body: string, type = 'application/json', ...more: string[]) =>
      openai.summarize({ status: 200, headers: ['content-type', type, ...more], body: Buffer.from(body) })
    const plain = JSON.stringify({ choices: [{ message: {}, finish_reason: 'tool_calls' }], usage: USAGE })
    const usage = { prompt: 9, completion: 12, total: 21 }
    t.same(summarize(plain), { finishReason: 'tool_calls', usage, events: -1, problem: '' })
    t.same(summarize(plain.slice(1)), {
      finishReason: '',
      usage: null,
      events: -1,
      problem: 'it is not well-formed JSON',
    })
    t.match(summarize(JSON.stringify({ data: [], usage: { prompt_tokens: 5, total_tokens: 5 } })), {
      usage: { prompt: 5, completion: -1, total: 5 },
    })
    const nested = { prompt_tokens: 5, details: { a: { b: 1 } }, total_tokens: 7 }
    const long = JSON.stringify({
      data: [{ embedding: Array.from({ length: 40_000 }, () => 0.5) }],
      usage: nested,
    })
    t.match(summarize(long), { usage: { prompt: 5, completion: -1, total: 7 } })
    t.match(summarize(long.replace('"usage":{', '"usage":null,"x":{')), { usage: null })
    t.match(
      summarize(`${chunk({ delta: {}, finish_reason: 'stop' })}data: [DONE]\n\n`, 'text/event-stream'),
      {
        finishReason: 'stop',
        events: 2,
        problem: '',
      },
    )
    t.equal(summarize(plain, 'text/html'), null)
    t.equal(summarize(plain, 'application/json', 'content-encoding', 'gzip'), null)
    t.equal(
      openai.summarize({
        status: 429,
        headers: ['content-type', 'application/json'],
        body: Buffer.from('x'),
      }),
      null,
    )
  },
)
