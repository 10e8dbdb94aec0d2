/**
 * Holds the records of a log against its tree: each leaf's hash against the tile that has it, each full tile against
 * the file, the root against the checkpoint. Where a record is missing its hash is taken from the tile, so that what
 * stands behind it is still checked. Memory: two tiles, and one for each level of the tree.
 */
import type { Frame } from '../frame.ts'
import { copyHash, isSameHash, leafHashInPlace, TREE_HASH_BYTES } from '../tree/hash.ts'
import { partialTiles, TILE_WIDTH, TileBuilder, type TileName, TileTree, tilePath } from '../tree/tiles.ts'
import type { BadPlace } from './log-verdict.ts'

export interface TreeCheckParts {
  /** Leaves that the tiles on the disk have: those of the checkpoint. */
  readonly signed: number
  readonly readTile: (name: TileName) => Buffer | undefined
  readonly onBad: (place: BadPlace) => void
  /** Called whenever the tree has grown by one, with the leaf's hash, which is valid during the call. */
  readonly onLeaf?: ((sequence: number, leaf: Buffer) => void) | undefined
}

export class TreeCheck {
  readonly #parts: TreeCheckParts
  readonly #builder: TileBuilder
  #tile: Buffer | undefined
  #tileIndex = -1
  /** Where the leaves of the tile at the edge come from. */
  readonly #files: string[] = new Array(TILE_WIDTH).fill('')
  readonly #places = new Float64Array(TILE_WIDTH)
  /** Leaves before it were held against the tile that has them: a tile is compared when it is full, or when it is asked for. */
  #compared: number
  /** Leaves that differ from their tiles: the records are wrong if the root is, else the tiles. */
  readonly #differing: { readonly place: BadPlace; readonly tile: TileName }[] = []
  #differences = 0
  #isDoubtful = false

  /** Goes on behind the first `from` leaves, which are taken from the tiles. Throws `TileMissing`. */
  constructor(from: number, parts: TreeCheckParts) {
    this.#parts = parts
    const tree = new TileTree(parts.signed, parts.readTile)
    const edge = partialTiles(from).map((name) => this.#prefix(tree, name))
    this.#builder = TileBuilder.from(from, edge, (name, bytes) => this.#compare(name, bytes))
    this.#compared = from
  }

  get size(): number {
    return this.#builder.size
  }

  /** Something before is not what the tiles say: roots mean little from here on. */
  get isDoubtful(): boolean {
    this.#compareLeaves()
    return this.#isDoubtful
  }

  root(): Buffer {
    return this.#builder.root()
  }

  /** The record of sequence `size`, which lies in `file`. */
  append({ leafRoom, at }: Frame, file: string): void {
    const place = this.#builder.size % TILE_WIDTH
    leafHashInPlace(leafRoom, this.#builder.edge, this.#builder.edgeAt)
    this.#files[place] = file
    this.#places[place] = at
    this.#grow()
  }

  /** Takes missing records' hashes from the tiles; false when they are not there. */
  fill(to: number): boolean {
    this.#isDoubtful = true
    while (this.#builder.size < to) {
      const sequence = this.#builder.size
      const told = sequence < this.#parts.signed ? this.#told(sequence) : undefined
      if (told === undefined) return false
      const at = this.#builder.edgeAt
      copyHash(told, at, this.#builder.edge, at)
      this.#grow()
    }
    return true
  }

  /** When as many leaves are there as the checkpoint covers: whether its root is theirs. */
  settle(root: Buffer): void {
    this.#compareLeaves()
    const isRoot = this.#builder.root().equals(root)
    this.#builder.partials((name, bytes) => this.#compare(name, bytes))
    this.tell(isRoot)
    if (isRoot || this.#differences > 0 || this.#isDoubtful) return
    const problem = `its root is not that of the ${this.#builder.size} records: forked, or rewritten together with the tiles`
    this.#parts.onBad({ file: 'checkpoint', at: 0, sequence: null, problem })
  }

  /** The leaves that differ from their tiles: which of the two is wrong, who asks has to know. */
  tell(areRecordsRight: boolean): void {
    this.#compareLeaves()
    for (const { place, tile } of this.#differing.splice(0)) {
      const at = ((place.sequence ?? 0) % TILE_WIDTH) * TREE_HASH_BYTES
      const problem = 'the hash here is not that of the record'
      this.#parts.onBad(areRecordsRight ? { ...place, file: tilePath(tile), at, problem } : place)
    }
  }

  /** By one leaf, whose hash lies in its place at the edge. */
  #grow(): void {
    const sequence = this.#builder.size
    const at = this.#builder.edgeAt
    this.#builder.grow()
    this.#parts.onLeaf?.(sequence, this.#builder.edge.subarray(at, at + TREE_HASH_BYTES))
  }

  /** Holds the leaves of the tile at the edge against the tile on the disk, as far as it was not done. */
  #compareLeaves(): void {
    const from = this.#compared
    this.#compared = this.#builder.size
    const to = Math.min(this.#builder.size, this.#parts.signed)
    const told = from < to ? this.#told(from) : undefined
    if (told === undefined) return
    const first = from - (from % TILE_WIDTH)
    const [begin, end] = [(from - first) * TREE_HASH_BYTES, (to - first) * TREE_HASH_BYTES]
    const tile = this.#builder.edge
    if (tile.compare(told, begin, end, begin, end) === 0) return
    for (let sequence = from; sequence < to; sequence += 1) {
      const place = sequence - first
      const at = place * TREE_HASH_BYTES
      if (isSameHash(tile, at, told, at)) continue
      const problem = 'the record here is not the one the tree was made of'
      this.#differs({ file: this.#files[place]!, at: this.#places[place]!, sequence, problem })
    }
  }

  #differs(place: BadPlace): void {
    const index = Math.floor(place.sequence! / TILE_WIDTH)
    this.#isDoubtful = true
    this.#differences += 1
    if (this.#differing.length < 20) this.#differing.push({ place, tile: this.#nameOf(index) })
  }

  #nameOf(index: number): TileName {
    return { level: 0, index, width: Math.min(TILE_WIDTH, this.#parts.signed - index * TILE_WIDTH) }
  }

  #told(sequence: number): Buffer | undefined {
    const index = Math.floor(sequence / TILE_WIDTH)
    if (index === this.#tileIndex) return this.#tile
    const name = this.#nameOf(index)
    this.#tileIndex = index
    this.#tile = this.#parts.readTile(name)
    if (this.#tile === undefined) {
      const problem = 'the tile is missing, or not as long as its name says'
      this.#parts.onBad({ file: tilePath(name), at: 0, sequence, problem })
    }
    return this.#tile
  }

  /** A tile that became full, or is the last of its level. */
  #compare({ level, index, width }: TileName, bytes: Buffer): void {
    if (level === 0) return this.#compareLeaves()
    const covered = Math.floor(this.#parts.signed / TILE_WIDTH ** level) - index * TILE_WIDTH
    if (covered < width) return
    const found = this.#parts.readTile({ level, index, width })
    if (found?.equals(bytes)) return
    if (found !== undefined && this.#isDoubtful) return
    const sequence = index * TILE_WIDTH ** (level + 1)
    const problem =
      found === undefined
        ? 'the tile is missing, or not as long as its name says'
        : 'the tile is not that of the records'
    this.#parts.onBad({ file: tilePath({ level, index, width }), at: 0, sequence, problem })
  }

  #prefix(tree: TileTree, { level, index, width }: TileName): Buffer {
    const hashes = Array.from({ length: width }, (_, at) => tree.hashAt(8 * level, index * TILE_WIDTH + at))
    return Buffer.concat(hashes)
  }
}
