/**
 * Where the records of requests lie in one segment that is not sealed, kept in memory by whoever is asked for request
 * after request: the segment is walked once, then only what was written since. Only of records that the checkpoint
 * covers: those are synced and never change, while what comes behind may be cut off and written over.
 */
import { FILE_HEADER_BYTES } from './file-header.ts'

/** For a start; a segment of decisions has some 60,000. */
const PLACES = 4096

export class KnownIds {
  /** So many records of the log do not change any more. */
  covered = 0
  /** Where the first frame begins that is not known, and its sequence. */
  at = FILE_HEADER_BYTES
  next: number
  #count = 0
  #words = new Uint32Array(PLACES)
  #places = new Uint32Array(PLACES)

  /** `first`: sequence of the segment's first record. */
  constructor(first: number) {
    this.next = first
  }

  /** The id at `idAt` of `bytes` is that of the frame at `place`, the next one; −1: it tells of no request. Ends at `end`. */
  see(bytes: Buffer, idAt: number, { place, end }: { readonly place: number; readonly end: number }): void {
    // Another search of the same file was here already.
    if (place !== this.at || this.next >= this.covered) return
    this.at = end
    this.next += 1
    if (idAt === -1) return
    if (this.#count === this.#words.length) this.#grow()
    this.#words[this.#count] = wordOf(bytes, idAt)
    this.#places[this.#count] = place
    this.#count += 1
  }

  /** Where frames begin that may be of this id, in order. */
  placesOf(id: Buffer): number[] {
    const word = wordOf(id, 0)
    const found: number[] = []
    const words = this.#words.subarray(0, this.#count)
    for (let index = words.indexOf(word); index !== -1; index = words.indexOf(word, index + 1))
      found.push(this.#places[index]!)
    return found
  }

  #grow(): void {
    const [words, places] = [new Uint32Array(2 * this.#count), new Uint32Array(2 * this.#count)]
    words.set(this.#words)
    places.set(this.#places)
    this.#words = words
    this.#places = places
  }
}

/** Thirty-two bits of what is drawn by lot in an id. */
function wordOf(bytes: Buffer, at: number): number {
  return (bytes.readUInt32LE(at + 12) ^ Math.imul(bytes.readUInt32LE(at + 8), 0x9e3779b1)) >>> 0
}
