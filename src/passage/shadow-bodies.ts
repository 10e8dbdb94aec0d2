/**
 * How many bytes of requests the copies under way in a lane may keep in memory together. A request's body is shared by
 * all of its copies and counts once; but one that waits for a shadow stays as long as that takes, and shadows that hang
 * would fill the memory of those that serve. Never waits: for what finds no room, no copy is sent.
 */

/** A single body that is longer gets no copies at all. */
export const SHADOW_BODIES_BYTES_MAX = 128 * 1024 * 1024

export class ShadowBodies {
  readonly #bytesMax: number
  /** Copies under way, by what holds their bytes. */
  readonly #copies = new Map<object, number>()
  #bytes = 0

  constructor(bytesMax: number = SHADOW_BODIES_BYTES_MAX) {
    this.#bytesMax = bytesMax
  }

  /** True: go, and call `leave` at the end, with the same. */
  enter(holder: object, bytes: number): boolean {
    const copies = this.#copies.get(holder) ?? 0
    if (copies === 0) {
      if (this.#bytes + bytes > this.#bytesMax) return false
      this.#bytes += bytes
    }
    this.#copies.set(holder, copies + 1)
    return true
  }

  leave(holder: object, bytes: number): void {
    const copies = this.#copies.get(holder)
    if (copies === undefined) return
    if (copies > 1) this.#copies.set(holder, copies - 1)
    else if (this.#copies.delete(holder)) this.#bytes -= bytes
  }
}
