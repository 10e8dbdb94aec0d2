/**
 * Remembers which places of a document were cut out because they were wrong. A tree of steps, so that
 * asking costs the depth of the path whatever the number of cuts (1,000 wrong models: 2 s with a list).
 */
import type { Path } from './problem.ts'

interface Node {
  cut: boolean
  readonly inner: Map<string | number, Node>
}

export class Cuts {
  readonly #root: Node = { cut: false, inner: new Map() }

  get isEmpty(): boolean {
    return !this.#root.cut && this.#root.inner.size === 0
  }

  add(path: Path): void {
    let node = this.#root
    for (const step of path) {
      let next = node.inner.get(step)
      if (next === undefined) {
        next = { cut: false, inner: new Map() }
        node.inner.set(step, next)
      }
      node = next
    }
    node.cut = true
  }

  /** Nothing was cut at, in or around the path. */
  isSound(path: Path): boolean {
    let node = this.#root
    for (const step of path) {
      if (node.cut) return false
      const next = node.inner.get(step)
      if (next === undefined) return true
      node = next
    }
    return !node.cut && node.inner.size === 0
  }
}
