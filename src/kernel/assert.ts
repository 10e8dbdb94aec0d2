/**
 * For programmer errors only: a broken promise inside this process. Never for what a client, an
 * endpoint or a file may send; those are `Fault` or `Problem` values.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${message}`)
}

/** Makes the compiler prove that a tagged union was handled completely. */
export function unreachable(value: never): never {
  throw new Error(`broken invariant: unexpected ${JSON.stringify(value)}`)
}
