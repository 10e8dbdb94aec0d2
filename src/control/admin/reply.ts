/**
 * The forms a reply has: JSON, text, and problem details (RFC 9457) for every refusal, so that a client
 * handles all errors of this API in one place.
 */
import { STATUS_CODES } from 'node:http'
import type { Reply } from './resource.ts'

export function json(value: unknown, status = 200): Reply {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` }
}

export function text(body: string, status = 200): Reply {
  return { status, contentType: 'text/plain; charset=utf-8', body }
}

export function problem(
  status: number,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  const title = STATUS_CODES[status] ?? 'Error'
  const body = `${JSON.stringify({ type: 'about:blank', title, status, detail }, null, 2)}\n`
  return { status, contentType: 'application/problem+json', body, headers }
}
