/** What is kept of answers, as it is in force. */
import type { CacheSettings, IdempotencySettings } from '../../domain/routes.ts'
import type { CheckedModel } from './schema-model.ts'

export function compileIdempotency(written: CheckedModel['idempotency']): IdempotencySettings | null {
  if (written === undefined) return null
  const { ttl: ttlMs, bytes: bytesMax, by } = written
  return { ttlMs, bytesMax, by }
}

export function compileCache(written: CheckedModel['cache']): CacheSettings | null {
  if (written === undefined) return null
  const { ttl: ttlMs, bytes: bytesMax, by, vary, shared } = written
  return { ttlMs, bytesMax, by, vary, shared }
}
