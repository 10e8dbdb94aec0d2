/**
 * A model server that speaks the OpenAI API as real ones do, as far as a test of clients needs: plain and streamed chat,
 * completions, embeddings, errors of its own. What it is to do stands in the request's last message, so one server
 * plays all parts; every request is kept. Its server is Node's own, so no code under test judges itself.
 */
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

export interface ReceivedCall {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly text: string
  readonly body: CallBody
}

export interface CallBody {
  readonly model: string
  readonly stream?: boolean
  readonly stream_options?: { readonly include_usage?: boolean }
  readonly messages?: readonly { readonly content: string }[]
  readonly prompt?: string
  readonly input?: string | readonly string[]
  readonly encoding_format?: string
  readonly tools?: readonly unknown[]
}

export const USAGE = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 }
const CREATED = 1_764_000_000

/** What a message can ask for, instead of an answer. */
export type Part = 'refuse' | 'throttle' | 'fail' | 'break' | 'error-event' | 'wait' | 'no-end'

export class OpenaiEndpoint {
  readonly calls: ReceivedCall[] = []
  /** Exactly what was written of the last streamed answer. */
  written = ''
  /** Streams whose reader left before their end. */
  left = 0
  /** 'seen': a stream that breaks does so now. */
  readonly mayBreak = new EventEmitter()
  readonly url: string
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  static async start(): Promise<OpenaiEndpoint> {
    const server = createServer((request, response) => void endpoint.#answer(request, response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const endpoint = new OpenaiEndpoint(server)
    return endpoint
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const text = Buffer.concat(pieces).toString()
    const body = JSON.parse(text) as CallBody
    this.calls.push({ path: request.url ?? '', headers: request.headers, text, body })
    const asked = body.messages?.at(-1)?.content ?? ''
    if (request.url === '/v1/embeddings') return json(response, 200, embeddingsOf(body))
    if (asked === 'refuse') return json(response, 400, errorOf('no such parameter', 'invalid_request_error'))
    if (asked === 'throttle')
      return json(response, 429, errorOf('slow down', 'requests', 'rate_limit_exceeded'))
    if (asked === 'fail') return json(response, 500, errorOf('out of memory', 'server_error'))
    const events = eventsOf(body)
    if (body.stream !== true) return json(response, 200, wholeOf(body))
    await this.#stream(response, events, asked)
  }

  async #stream(response: ServerResponse, events: readonly string[], asked: string): Promise<void> {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
    this.written = ''
    let isGone = false
    response.on('close', () => {
      isGone = !response.writableFinished
      if (isGone && asked === 'wait') this.left += 1
    })
    const write = (piece: string) => {
      this.written += piece
      response.write(piece)
    }
    const seen = asked === 'break' ? once(this.mayBreak, 'seen') : null
    write(': ready\n\n')
    for (const [index, event] of events.entries()) {
      if (isGone) return
      if (index === 3 && asked === 'break') {
        await seen
        return void response.destroy()
      }
      if (index === 3 && asked === 'error-event') {
        write(`data: ${JSON.stringify(errorOf('the model fell over', 'server_error'))}\n\n`)
        break
      }
      if (index === 3 && asked === 'no-end') break
      write(event)
      await pause(asked === 'wait' && index === 2 ? 10_000 : 2, undefined, { ref: false })
    }
    response.end()
  }
}

function json(response: ServerResponse, status: number, document: unknown): void {
  const body = Buffer.from(JSON.stringify(document))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': String(body.length) })
  response.end(body)
}

const errorOf = (message: string, type: string, code: string | null = null) => ({
  error: { message, type, param: null, code },
})

/** Echoes what was asked, so that a test sees its own words come back. */
function wordsOf(body: CallBody): readonly string[] {
  return ['You said: ', body.messages?.at(-1)?.content ?? body.prompt ?? '', ' “€ 😀”\n']
}

const CALL = { name: 'weather', arguments: '{"city":"Zürich"}' }

function wholeOf(body: CallBody): unknown {
  const isChat = body.messages !== undefined
  const common = { id: 'cmpl-1', created: CREATED, model: body.model, usage: USAGE }
  const content = wordsOf(body).join('')
  if (!isChat) {
    const choice = { index: 0, text: content, logprobs: null, finish_reason: 'stop' }
    return { ...common, object: 'text_completion', choices: [choice] }
  }
  const calls = [{ id: 'call_1', type: 'function', function: CALL }]
  const message = { role: 'assistant', content, refusal: null, ...(body.tools ? { tool_calls: calls } : {}) }
  const choice = { index: 0, message, logprobs: null, finish_reason: body.tools ? 'tool_calls' : 'stop' }
  return { ...common, object: 'chat.completion', choices: [choice] }
}

function eventsOf(body: CallBody): readonly string[] {
  const isChat = body.messages !== undefined
  const object = isChat ? 'chat.completion.chunk' : 'text_completion'
  const event = (choices: readonly unknown[], more: object = {}) =>
    `data: ${JSON.stringify({ id: 'cmpl-1', object, created: CREATED, model: body.model, choices, ...more })}\n\n`
  const piece = (what: object, finish: string | null = null) =>
    event([{ index: 0, ...(isChat ? { delta: what } : what), logprobs: null, finish_reason: finish }])
  const words = wordsOf(body).map((text) => piece(isChat ? { content: text } : { text }))
  const tools = [
    { index: 0, id: 'call_1', type: 'function', function: { name: CALL.name, arguments: '' } },
    { index: 0, function: { arguments: CALL.arguments.slice(0, 5) } },
    { index: 0, function: { arguments: CALL.arguments.slice(5) } },
  ].map((call) => piece({ tool_calls: [call] }))
  return [
    ...(isChat ? [piece({ role: 'assistant', content: '' })] : []),
    ...words,
    ...(body.tools ? tools : []),
    piece(isChat ? {} : { text: '' }, body.tools ? 'tool_calls' : 'stop'),
    ...(body.stream_options?.include_usage ? [event([], { usage: USAGE })] : []),
    'data: [DONE]\n\n',
  ]
}

function embeddingsOf(body: CallBody): unknown {
  const inputs = typeof body.input === 'string' ? [body.input] : (body.input ?? [])
  const data = inputs.map((text, index) => {
    const floats = [text.length, 0.5, -1]
    const packed = Buffer.from(Float32Array.from(floats).buffer).toString('base64')
    return { object: 'embedding', index, embedding: body.encoding_format === 'base64' ? packed : floats }
  })
  return { object: 'list', data, model: body.model, usage: { prompt_tokens: 5, total_tokens: 5 } }
}
