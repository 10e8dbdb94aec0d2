/**
 * A Merkle tree as tiles (c2sp.org/tlog-tiles): files of up to 256 hashes each. Level 0 holds the leaves' hashes, each
 * level above the roots of the full tiles below. Full tiles never change; the last one of each level may be partial.
 * Any root, and any proof, is computed from a few of them.
 *
 * Nothing here touches the disk: tiles are handed out and asked for.
 */
import { CompactRange } from './compact-range.ts'
import { copyHash, markedHash, NODE_MARK, PAIR_BYTES, TREE_HASH_BYTES } from './hash.ts'

/** log2 of a tile's width. */
const TILE_HEIGHT = 8
export const TILE_WIDTH = 256
export const TILE_BYTES = TILE_WIDTH * TREE_HASH_BYTES
/** Enough for 2^53 leaves. */
export const LEVELS_MAX = 7
/** Tiles a reader keeps: a path from leaf to root, and those beside it. */
const TILES_KEPT_MAX = 32

export interface TileName {
  readonly level: number
  readonly index: number
  /** Hashes in it; 256: it is full. */
  readonly width: number
}

/** Relative to the log's directory: `tile/0/x001/x234/067`, `tile/1/002.p/17`. */
export function tilePath({ level, index, width }: TileName): string {
  const groups = [String(index % 1000).padStart(3, '0')]
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, '0')}`)
  }
  const suffix = width === TILE_WIDTH ? '' : `.p/${width}`
  return `tile/${level}/${groups.join('/')}${suffix}`
}

/** Every tile that is not full of a tree of `size` leaves, lowest level first. */
export function partialTiles(size: number): TileName[] {
  const names: TileName[] = []
  for (let level = 0, hashes = size; hashes > 0; level += 1, hashes = Math.floor(hashes / TILE_WIDTH)) {
    const width = hashes % TILE_WIDTH
    if (width > 0) names.push({ level, index: Math.floor(hashes / TILE_WIDTH), width })
  }
  return names
}

/** Full tiles of `level` in a tree of `size` leaves. */
export function fullTiles(level: number, size: number): number {
  return Math.floor(size / TILE_WIDTH ** (level + 1))
}

/** `bytes` are valid only during the call. */
export type TileTaker = (name: TileName, bytes: Buffer) => void

/** Makes tiles of leaf hashes that come one by one. Full tiles are handed out once, as soon as they are full. */
export class TileBuilder {
  readonly #onFull: TileTaker
  readonly #levels: Buffer[] = []
  readonly #root = Buffer.alloc(TREE_HASH_BYTES)
  #size = 0

  constructor(onFull: TileTaker) {
    this.#onFull = onFull
  }

  /** Goes on with a tree of `size` leaves, whose partial tiles are `tiles`, in the order of `partialTiles`. */
  static from(size: number, tiles: readonly Buffer[], onFull: TileTaker): TileBuilder {
    const builder = new TileBuilder(onFull)
    builder.#size = size
    for (const [at, { level, width }] of partialTiles(size).entries()) {
      tiles[at]!.copy(builder.#level(level), 0, 0, width * TREE_HASH_BYTES)
    }
    return builder
  }

  get size(): number {
    return this.#size
  }

  /** One leaf more: its hash at `hashes[at, at + 32)`. */
  append(hashes: Buffer, at: number): void {
    copyHash(hashes, at, this.edge, this.edgeAt)
    this.grow()
  }

  /** The newest tile of level 0, and where in it the next leaf's hash belongs: who puts it there calls `grow`. */
  get edge(): Buffer {
    return this.#level(0)
  }

  get edgeAt(): number {
    return (this.#size % TILE_WIDTH) * TREE_HASH_BYTES
  }

  /** One leaf more: its hash was put in its place. */
  grow(): void {
    let width = this.#size % TILE_WIDTH
    this.#size += 1
    let [level, count] = [0, this.#size]
    for (; width === TILE_WIDTH - 1; level += 1) {
      const tile = this.#level(level)
      this.#onFull({ level, index: count / TILE_WIDTH - 1, width: TILE_WIDTH }, tile)
      foldTile(tile, 0, TILE_WIDTH, this.#root)
      count /= TILE_WIDTH
      width = (count - 1) % TILE_WIDTH
      copyHash(this.#root, 0, this.#level(level + 1), width * TREE_HASH_BYTES)
    }
  }

  /** The tiles at the right edge that are not full, lowest level first. */
  partials(take: TileTaker): void {
    for (const name of partialTiles(this.#size)) {
      take(name, this.#level(name.level).subarray(0, name.width * TREE_HASH_BYTES))
    }
  }

  /** Of all leaves so far. Every perfect subtree of the tree lies in a tile at its right edge. */
  root(): Buffer {
    const roots: Buffer[] = []
    for (const { level, width } of partialTiles(this.#size).reverse()) {
      let from = 0
      for (let count = TILE_WIDTH / 2; count >= 1; count /= 2) {
        if ((width & count) === 0) continue
        const root = Buffer.alloc(TREE_HASH_BYTES)
        foldTile(this.#level(level), from, count, root)
        roots.push(root)
        from += count
      }
    }
    return CompactRange.of(this.#size, roots).root()
  }

  #level(level: number): Buffer {
    while (this.#levels.length <= level) this.#levels.push(Buffer.alloc(TILE_BYTES))
    return this.#levels[level]!
  }
}

/** Pairs of neighbours, each behind its mark, so that they are hashed where they lie. */
const PAIR_STRIDE = 1 + PAIR_BYTES
const folding = Buffer.alloc((TILE_WIDTH / 2) * PAIR_STRIDE, NODE_MARK)
const pairs = Array.from({ length: TILE_WIDTH / 2 }, (_, pair) =>
  folding.subarray(pair * PAIR_STRIDE, (pair + 1) * PAIR_STRIDE),
)
const placeOf = (index: number) => (index >>> 1) * PAIR_STRIDE + 1 + (index & 1) * TREE_HASH_BYTES

/** Root of the perfect subtree over `count` hashes (a power of two up to 256) at `from`, into `target[0, 32)`. */
export function foldTile(tile: Buffer, from: number, count: number, target: Buffer): void {
  if (count === 1) return copyHash(tile, from * TREE_HASH_BYTES, target, 0)
  for (let index = 0; index < count; index += 1)
    copyHash(tile, (from + index) * TREE_HASH_BYTES, folding, placeOf(index))
  for (let left = count / 2; left > 1; left /= 2)
    for (let pair = 0; pair < left; pair += 1) markedHash(pairs[pair]!, folding, placeOf(pair))
  markedHash(pairs[0]!, target, 0)
}

/** At least `width` hashes of the tile; undefined when there are not so many. */
export type ReadTile = (name: TileName) => Buffer | undefined

/** Thrown when a hash is asked for that no tile gives. */
export class TileMissing extends Error {
  override readonly name = 'TileMissing'
  readonly tile: TileName

  constructor(tile: TileName) {
    super(`${tilePath(tile)} is missing or too short`)
    this.tile = tile
  }
}

/** Roots of perfect subtrees, which proofs are made of. */
export interface SubtreeHashes {
  /** Of the 2^height leaves from `index` · 2^height on. 32 bytes. */
  hashAt(height: number, index: number): Buffer
}

/** The tree of the first `size` leaves, out of tiles that are read when needed. */
export class TileTree implements SubtreeHashes {
  readonly size: number
  readonly #read: ReadTile
  readonly #kept = new Map<string, Buffer>()

  constructor(size: number, read: ReadTile) {
    this.size = size
    this.#read = read
  }

  /** Throws `TileMissing`. */
  hashAt(height: number, index: number): Buffer {
    const level = Math.floor(height / TILE_HEIGHT)
    const count = 2 ** (height % TILE_HEIGHT)
    const first = index * count
    const tile = this.#tile(level, Math.floor(first / TILE_WIDTH))
    const root = Buffer.alloc(TREE_HASH_BYTES)
    foldTile(tile, first % TILE_WIDTH, count, root)
    return root
  }

  #tile(level: number, index: number): Buffer {
    const hashes = Math.floor(this.size / TILE_WIDTH ** level) - index * TILE_WIDTH
    const name = { level, index, width: Math.min(TILE_WIDTH, hashes) }
    const key = `${level}/${index}`
    const known = this.#kept.get(key)
    if (known !== undefined) return known
    const bytes = hashes > 0 ? this.#read(name) : undefined
    if (bytes === undefined || bytes.length < name.width * TREE_HASH_BYTES) throw new TileMissing(name)
    if (this.#kept.size >= TILES_KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value!)
    this.#kept.set(key, bytes)
    return bytes
  }
}
