/**
 * Holds the records of a log against its tree: each leaf's hash against the tile that has it, each full tile against
 * the file, the root against the checkpoint. Where a record is missing its hash is taken from the tile, so that what
 * stands behind it is still checked. Memory: two tiles, and one for each level of the tree.
 */
import { leafHash, TREE_HASH_BYTES } from '../tree/hash.ts'
import { partialTiles, TILE_WIDTH, TileBuilder, type TileName, TileTree, tilePath } from '../tree/tiles.ts'
import type { BadPlace } from './log-verdict.ts'

export interface TreeCheckParts {
  /** Leaves that the tiles on the disk have: those of the checkpoint. */
  readonly signed: number
  readonly readTile: (name: TileName) => Buffer | undefined
  readonly onBad: (place: BadPlace) => void
  /** Called whenever the tree has grown by one, with the leaf's hash. */
  readonly onLeaf: (sequence: number, leaf: Buffer) => void
}

export class TreeCheck {
  readonly #parts: TreeCheckParts
  readonly #leaf = Buffer.alloc(TREE_HASH_BYTES)
  readonly #builder: TileBuilder
  #tile: Buffer | undefined
  #tileIndex = -1
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
  }

  get size(): number {
    return this.#builder.size
  }

  /** Something before is not what the tiles say: roots mean little from here on. */
  get isDoubtful(): boolean {
    return this.#isDoubtful
  }

  root(): Buffer {
    return this.#builder.root()
  }

  /** The record of sequence `size`, which lies at `at` of `file`. */
  append(entry: Buffer, file: string, at: number): void {
    leafHash(entry, this.#leaf, 0)
    const sequence = this.#builder.size
    if (sequence < this.#parts.signed) {
      const told = this.#told(sequence)
      if (
        told !== undefined &&
        this.#leaf.compare(told, (sequence % TILE_WIDTH) * 32, (sequence % TILE_WIDTH) * 32 + 32) !== 0
      )
        this.#differs({ file, at, sequence, problem: 'the record here is not the one the tree was made of' })
    }
    this.#grow()
  }

  /** Takes missing records' hashes from the tiles; false when they are not there. */
  fill(to: number): boolean {
    this.#isDoubtful = true
    while (this.#builder.size < to) {
      const sequence = this.#builder.size
      const told = sequence < this.#parts.signed ? this.#told(sequence) : undefined
      if (told === undefined) return false
      const at = (sequence % TILE_WIDTH) * TREE_HASH_BYTES
      told.copy(this.#leaf, 0, at, at + TREE_HASH_BYTES)
      this.#grow()
    }
    return true
  }

  /** When as many leaves are there as the checkpoint covers: whether its root is theirs. */
  settle(root: Buffer): void {
    const isRoot = this.#builder.root().equals(root)
    this.#builder.partials((name, bytes) => this.#compare(name, bytes))
    this.tell(isRoot)
    if (isRoot || this.#differences > 0 || this.#isDoubtful) return
    const problem = `its root is not that of the ${this.#builder.size} records: forked, or rewritten together with the tiles`
    this.#parts.onBad({ file: 'checkpoint', at: 0, sequence: null, problem })
  }

  /** The leaves that differ from their tiles: which of the two is wrong, who asks has to know. */
  tell(areRecordsRight: boolean): void {
    for (const { place, tile } of this.#differing.splice(0)) {
      const at = ((place.sequence ?? 0) % TILE_WIDTH) * TREE_HASH_BYTES
      const problem = 'the hash here is not that of the record'
      this.#parts.onBad(areRecordsRight ? { ...place, file: tilePath(tile), at, problem } : place)
    }
  }

  #grow(): void {
    const sequence = this.#builder.size
    this.#builder.append(this.#leaf, 0)
    this.#parts.onLeaf(sequence, this.#leaf)
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

  /** Leaves were compared one by one; of the levels above whole tiles are. */
  #compare({ level, index, width }: TileName, bytes: Buffer): void {
    const covered = Math.floor(this.#parts.signed / TILE_WIDTH ** level) - index * TILE_WIDTH
    if (level === 0 || covered < width) return
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
