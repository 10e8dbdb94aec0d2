/**
 * The key by which a caller keeps its version: the first source of the model's chain that is present
 * and not empty. When none is, the request's own id serves: assignment is then random, by chance of the
 * id, and the record says so.
 */
import { type Head, headerOf } from '../domain/head.ts'
import type { StickyKey } from '../domain/intent.ts'
import type { Model } from '../domain/routes.ts'
import { type JsonPath, parsePointer } from '../kernel/json-scan.ts'

/** Body paths of a model's chain, in its order. Split once for a model, not once a request. */
export function bodyPathsOf(model: Model): readonly JsonPath[] {
  let paths = PATHS.get(model)
  if (paths === undefined) {
    paths = model.key.flatMap((source) => (source.from === 'body' ? [parsePointer(source.pointer)] : []))
    PATHS.set(model, paths)
  }
  return paths
}

const PATHS = new WeakMap<Model, readonly JsonPath[]>()

/** `bodyValues`: what was found at bodyPathsOf(model), in the same order. */
export function stickyKey(
  model: Model,
  head: Head,
  bodyValues: readonly (string | undefined)[],
  requestId: string,
): StickyKey {
  let bodyIndex = 0
  for (const source of model.key) {
    switch (source.from) {
      case 'header': {
        const value = headerOf(head.headers, source.name)
        if (value) return { source: `header:${source.name}`, value }
        break
      }
      case 'body': {
        const value = bodyValues[bodyIndex]
        bodyIndex += 1
        if (value) return { source: `body:${source.pointer}`, value }
        break
      }
      case 'client':
        return { source: 'client', value: head.clientAddress }
      case 'random':
        return { source: 'random', value: requestId }
    }
  }
  return { source: 'random', value: requestId }
}
