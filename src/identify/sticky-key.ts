/**
 * The key by which a caller keeps its version: the first source of the model's chain that is present
 * and not empty. When none is, the request's own id serves: assignment is then random, by chance of the
 * id, and the record says so.
 */
import type { Head } from '../domain/head.ts'
import type { StickyKey } from '../domain/intent.ts'
import type { Model } from '../domain/routes.ts'
import { type BodyValues, nameOf, valueFrom } from './key-source.ts'

/** `requestId`: what `random` gives. */
export function stickyKey(model: Model, head: Head, values: BodyValues, requestId: string): StickyKey {
  for (const source of model.key) {
    if (source.from === 'random') break
    const value = valueFrom(source, head, values)
    if (value) return { source: nameOf(source), value }
  }
  return { source: 'random', value: requestId }
}
