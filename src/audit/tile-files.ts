/**
 * Tiles of a log's directory. Beside a running gateway a partial tile may be gone, because a wider one, or the full one,
 * has taken its place: those begin with the same hashes.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf } from './disk.ts'
import { TREE_HASH_BYTES } from './tree/hash.ts'
import { TILE_WIDTH, type TileName, tilePath } from './tree/tiles.ts'

/** Exactly the hashes of `name`; undefined when no file holds them, and as many as its name says. Throws what the disk throws. */
export function readTileFile(dataDir: string, name: TileName): Buffer | undefined {
  const bytes = readExactly(dataDir, name) ?? readWider(dataDir, name)
  return bytes?.subarray(0, name.width * TREE_HASH_BYTES)
}

function readExactly(dataDir: string, name: TileName): Buffer | undefined {
  const bytes = readIfThere(join(dataDir, tilePath(name)))
  return bytes?.length === name.width * TREE_HASH_BYTES ? bytes : undefined
}

/** It may be replaced once more while it is looked for. */
function readWider(dataDir: string, name: TileName): Buffer | undefined {
  const full = { ...name, width: TILE_WIDTH }
  for (let tries = 0; tries < 3; tries += 1) {
    const wider = namesIn(join(dataDir, `${tilePath(full)}.p`)).filter((width) => width > name.width)
    for (const width of [TILE_WIDTH, ...wider]) {
      const found = readExactly(dataDir, { ...name, width })
      if (found !== undefined) return found
    }
  }
  return undefined
}

function namesIn(folder: string): number[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^[1-9]\d{0,2}$/.test(name))
      .map(Number)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Undefined when there is no such file. */
export function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function isMissing(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}
