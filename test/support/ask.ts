/** One HTTP request with a body that is known, on a connection of its own unless told otherwise, and its whole answer. */
import { type Agent, request } from 'node:http'

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Gives up and rejects after this. */
  readonly timeoutMs?: number
  /** Whose connections to use. */
  readonly agent?: Agent
}

export interface Told {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
  readonly text: string
  /** Parsed body; throws when it is not JSON. */
  json(): unknown
  /** Milliseconds from sending to the last byte. */
  readonly tookMs: number
}

export function ask(
  port: number,
  path: string,
  { method, headers = {}, body, timeoutMs = 30_000, agent }: Asked = {},
): Promise<Told> {
  const startedAt = performance.now()
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        headers:
          body === undefined ? headers : { 'content-length': String(Buffer.byteLength(body)), ...headers },
        agent: agent ?? false,
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const whole = Buffer.concat(chunks)
          const text = whole.toString()
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: whole,
            text,
            json: () => JSON.parse(text) as unknown,
            tookMs: performance.now() - startedAt,
          })
        })
      },
    )
    sent.setTimeout(timeoutMs, () => sent.destroy(new Error(`no answer to ${path} within ${timeoutMs} ms`)))
    sent.on('error', reject)
    sent.end(body)
  })
}

/** A V2 infer request for one FP32 tensor. */
export function tensorOf(name: string, data: readonly number[], shape: readonly number[] = [1, data.length]) {
  return JSON.stringify({ inputs: [{ name, shape, datatype: 'FP32', data }] })
}

export const JSON_TYPE = { 'content-type': 'application/json' } as const
