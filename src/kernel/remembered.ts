/**
 * What was once found out about a name, for names that come again and again: header names are a few dozen, and
 * one look-up costs less than asking the same questions about them on every request.
 *
 * Bounded: only short names are remembered, and with one too many all are forgotten. So whoever sends ever new
 * names makes others pay no more than it costs to find out.
 */
export const REMEMBERED_NAMES_MAX = 1024
export const REMEMBERED_NAME_LENGTH_MAX = 64

export class Remembered<T> {
  readonly #find: (name: string) => T
  readonly #found = new Map<string, T>()

  /** `find` gives the same for the same name, and never undefined. */
  constructor(find: (name: string) => T) {
    this.#find = find
  }

  of(name: string): T {
    const known = this.#found.get(name)
    if (known !== undefined) return known
    const found = this.#find(name)
    if (name.length > REMEMBERED_NAME_LENGTH_MAX) return found
    if (this.#found.size >= REMEMBERED_NAMES_MAX) this.#found.clear()
    this.#found.set(name, found)
    return found
  }
}
