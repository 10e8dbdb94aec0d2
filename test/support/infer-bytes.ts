/** A V2 infer request as the bytes of HTTP/1.1, for clients that send bytes. */
import { tensorOf } from './ask.ts'

export function inferBytes(
  model: string,
  headers: readonly string[] = [],
  body = tensorOf('x', [1]),
): string {
  const lines = [
    `POST /v2/models/${model}/infer HTTP/1.1`,
    'host: gateway',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    ...headers,
  ]
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}
