/** Leaf hashes, one behind the other, that were not published yet. Grows; whoever fills it says how far. */
import { copyHash, TREE_HASH_BYTES } from './hash.ts'

const FIRST_COUNT = 4096

export class LeafBuffer {
  #bytes = Buffer.allocUnsafeSlow(FIRST_COUNT * TREE_HASH_BYTES)
  #used = 0

  get count(): number {
    return this.#used / TREE_HASH_BYTES
  }

  /** The hash at `hashes[at, at + 32)`. */
  append(hashes: Buffer, at: number): void {
    if (this.#used === this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(2 * this.#bytes.length)
      this.#bytes.copy(larger)
      this.#bytes = larger
    }
    copyHash(hashes, at, this.#bytes, this.#used)
    this.#used += TREE_HASH_BYTES
  }

  /** All of them, in memory of their own; none are left here. */
  take(): Buffer {
    const taken = Buffer.allocUnsafeSlow(this.#used)
    this.#bytes.copy(taken, 0, 0, this.#used)
    this.#used = 0
    return taken
  }
}
