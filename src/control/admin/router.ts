/** Finds the resource of a path. Exact segments win over `{name}` segments; no regular expressions. */
import { assert } from '../../kernel/assert.ts'
import type { Resource } from './resource.ts'

export interface Match {
  readonly resource: Resource
  readonly parameters: ReadonlyMap<string, string>
}

interface Route {
  readonly resource: Resource
  readonly segments: readonly string[]
}

export class Router {
  readonly #exact = new Map<string, Match>()
  readonly #patterns: Route[] = []

  /** Two resources at one path are a bug and throw. */
  constructor(resources: readonly Resource[]) {
    const paths = new Set<string>()
    for (const resource of resources) {
      assert(!paths.has(resource.path), `two resources at ${resource.path}`)
      paths.add(resource.path)
      if (resource.path.includes('{')) this.#patterns.push({ resource, segments: resource.path.split('/') })
      else this.#exact.set(resource.path, { resource, parameters: new Map() })
    }
  }

  /** `path` as sent, percent-encoded. */
  find(path: string): Match | null {
    const exact = this.#exact.get(path)
    if (exact !== undefined) return exact
    const given = path.split('/')
    for (const { resource, segments } of this.#patterns) {
      const parameters = matched(segments, given)
      if (parameters !== null) return { resource, parameters }
    }
    return null
  }
}

function matched(segments: readonly string[], given: readonly string[]): Map<string, string> | null {
  if (segments.length !== given.length) return null
  const parameters = new Map<string, string>()
  for (const [index, segment] of segments.entries()) {
    const part = given[index]!
    if (!segment.startsWith('{')) {
      if (segment !== part) return null
      continue
    }
    const value = decoded(part)
    if (value === null || value === '') return null
    parameters.set(segment.slice(1, -1), value)
  }
  return parameters
}

/** Null where the encoding is broken: such a path names nothing. */
function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part)
  } catch {
    return null
  }
}
