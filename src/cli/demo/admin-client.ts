/** Asks an admin API over HTTP, as anybody outside would. */
import type { HostPort } from '../../domain/routes.ts'

const PATIENCE_MS = 10_000

/** Of what `/api/v1/stats` tells about one series, what the demo shows. */
export interface DurationStats {
  readonly model: string
  readonly version: string
  readonly role: string
  /** `request`: of a model's requests as a whole, from receipt to the answer ready to leave. */
  readonly phase: string
  readonly count: number
  readonly p50_ms: number
  readonly p99_ms: number
  readonly p99_9_ms: number
}

export interface DatedChange {
  readonly from: string
  readonly to: string
  /** A sentence with its numbers. */
  readonly why: string
  /** ISO 8601. */
  readonly at: string
}

interface BreakerReport {
  readonly model: string
  readonly version: string
  readonly state: string
  /** Latest first. */
  readonly changes: readonly DatedChange[]
}

export function adminUrl({ host, port }: HostPort, path = '/'): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}${path}`
}

/** False too when nobody is there. */
export async function isReady(admin: HostPort): Promise<boolean> {
  try {
    const response = await fetch(adminUrl(admin, '/readyz'), { signal: AbortSignal.timeout(PATIENCE_MS) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}

export async function readStats(admin: HostPort): Promise<readonly DurationStats[]> {
  return (await ask<{ durations: readonly DurationStats[] }>(admin, '/api/v1/stats')).durations
}

export async function readBreakers(admin: HostPort): Promise<readonly BreakerReport[]> {
  return (await ask<{ breakers: readonly BreakerReport[] }>(admin, '/api/v1/breakers')).breakers
}

async function ask<T>(admin: HostPort, path: string): Promise<T> {
  const response = await fetch(adminUrl(admin, path), { signal: AbortSignal.timeout(PATIENCE_MS) })
  if (!response.ok) throw new Error(`the admin API answered ${path} with ${response.status}`)
  return (await response.json()) as T
}
