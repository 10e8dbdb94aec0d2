/** Where only a part of the records is read: that the tiles they were held against are of the tree that was signed. */
import { inclusionProof, rootOfInclusion, type TreeHead } from '../tree/proof.ts'
import { TILE_WIDTH, TileMissing, type TileTree } from '../tree/tiles.ts'
import type { BadPlace } from './log-verdict.ts'

/** The first of the tiles of level 0 over records `from` to `end` − 1 that is not proven; undefined when all are. */
export function checkRange(
  { from, end }: { readonly from: number; readonly end: number },
  { size, root }: TreeHead,
  tree: TileTree,
): BadPlace | undefined {
  for (let index = from - (from % TILE_WIDTH); index < end; index += TILE_WIDTH) {
    const problem = problemOf(index, { size, root }, tree)
    if (problem !== undefined) return { file: 'tile', at: 0, sequence: index, problem }
  }
  return undefined
}

/** One proof vouches for its whole tile: all of the tile's hashes lead to the root. */
function problemOf(index: number, { size, root }: TreeHead, tree: TileTree): string | undefined {
  try {
    const leaf = tree.hashAt(0, index)
    const found = rootOfInclusion({ index, size, leaf }, inclusionProof(index, size, tree))
    return found?.equals(root) ? undefined : 'the tiles are not those of the checkpoint'
  } catch (error) {
    if (error instanceof TileMissing) return error.message
    throw error
  }
}
