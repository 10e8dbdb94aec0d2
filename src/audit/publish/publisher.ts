/**
 * Writes what others need to check the log: the tiles of its tree, then the signed checkpoint that covers them, never
 * the other way round. Everything is a whole file or none. What the disk does not take is kept and tried again; its
 * owner bounds how much that can be by making no more checkpoints meanwhile.
 */
import { rmdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Disk, writeWhole } from '../disk.ts'
import { CHECKPOINT_FILE } from '../paths.ts'
import { TREE_HASH_BYTES } from '../tree/hash.ts'
import { partialTiles, TileBuilder, type TileName, tilePath } from '../tree/tiles.ts'

/** A checkpoint, and the leaves that are in it and in none before. */
export interface Publication {
  /** Leaves it covers. */
  readonly size: number
  /** Leaf hashes, 32 bytes each. */
  readonly leaves: Uint8Array
  readonly note: string
}

interface Tile {
  readonly path: string
  readonly bytes: Buffer
}

export class Publisher {
  readonly #dataDir: string
  readonly #disk: Disk
  readonly #builder: TileBuilder
  #full: Tile[] = []
  /** Partial tiles on the disk. */
  #partials: readonly string[]
  #note: string | undefined

  /** Goes on behind a tree of `size` leaves whose partial tiles, lowest level first, are `edge`. */
  constructor(dataDir: string, disk: Disk, { size, edge }: { size: number; edge: readonly Buffer[] }) {
    this.#dataDir = dataDir
    this.#disk = disk
    this.#builder = TileBuilder.from(size, edge, (name, bytes) => this.#full.push(this.#tile(name, bytes)))
    this.#partials = partialTiles(size).map((name) => this.#path(name))
  }

  /** Something is to be written. */
  get isBehind(): boolean {
    return this.#note !== undefined
  }

  /** Leaves in the tree that was given last. */
  get size(): number {
    return this.#builder.size
  }

  /** To be written by `publish`. A checkpoint that was not written yet gives way to a later one. */
  add({ leaves, note }: Publication): void {
    const hashes = Buffer.from(leaves.buffer, leaves.byteOffset, leaves.byteLength)
    for (let at = 0; at < hashes.length; at += TREE_HASH_BYTES) this.#builder.append(hashes, at)
    this.#note = note
  }

  /** Throws the system's error; it may then be called again. */
  publish(): void {
    if (this.#note === undefined) return
    const folders = new Set<string>()
    for (let tile = this.#full[0]; tile !== undefined; tile = this.#full[0]) {
      this.#write(tile, folders)
      this.#full.shift()
    }
    const partials: string[] = []
    this.#builder.partials((name, bytes) => {
      const tile = this.#tile(name, bytes)
      if (!this.#partials.includes(tile.path)) this.#write(tile, folders)
      partials.push(tile.path)
    })
    for (const folder of folders) this.#disk.syncDirectory(folder)
    writeWhole(this.#disk, join(this.#dataDir, CHECKPOINT_FILE), Buffer.from(this.#note))
    this.#disk.syncDirectory(this.#dataDir)
    this.#note = undefined
    const before = this.#partials
    this.#partials = partials
    for (const path of before) if (!partials.includes(path)) this.#forget(path)
  }

  /** Of no more use; whatever prevents it does no harm. The directory goes with the last one in it. */
  #forget(path: string): void {
    try {
      this.#disk.remove(path)
      rmdirSync(dirname(path))
    } catch {}
  }

  #write({ path, bytes }: Tile, folders: Set<string>): void {
    const folder = dirname(path)
    if (!folders.has(folder)) {
      this.#disk.makeDirectory(folder)
      folders.add(folder)
    }
    writeWhole(this.#disk, path, bytes)
  }

  #tile(name: TileName, bytes: Buffer): Tile {
    return { path: this.#path(name), bytes: Buffer.from(bytes) }
  }

  #path(name: TileName): string {
    return join(this.#dataDir, tilePath(name))
  }
}
