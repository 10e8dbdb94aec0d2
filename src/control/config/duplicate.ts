/**
 * Which key is written twice, and where it was first. The parser only says where the second one is, and
 * the parser with positions refuses such text, too: so the second key gets another name for a moment.
 */

import { type Place, placesOf } from './positions.ts'
import type { Path } from './problem.ts'
import { headerPath, keyAt, sectionEnd } from './sections.ts'

export interface Duplicate {
  /** The header of the section it is in, without positions in lists. */
  readonly section: Path
  /** Below the section; empty when the header itself is the second one. */
  readonly inside: Path
  /** Characters of the second key on its line. */
  readonly length: number
  /** Where the first one is, when that is in the same section. */
  readonly first: Place | null
}

const STAND_IN = 'written-a-second-time'

/** `start` from 0, the place of the second key from 1. */
export function duplicateAt(
  lines: readonly string[],
  start: number,
  second: { readonly line: number; readonly column: number },
): Duplicate {
  const own = second.line - 1
  const line = lines[own] ?? ''
  const key = keyAt(line, second.column - 1)
  const section = headerPath(lines[start] ?? '')
  const length = Math.max(1, key.length)
  if (own === start && section.length > 0) return { section, inside: [], length, first: null }
  const renamed = lines.slice(start, sectionEnd(lines, start))
  renamed[own - start] =
    `${line.slice(0, second.column - 1)}${STAND_IN}${line.slice(second.column - 1 + key.length)}`
  const places = placesOf(renamed.join('\n'))
  const above = parentOf(STAND_IN, places.keys())
  // What else is wrong in the section hides the rest of the path.
  if (above === null) return { section, inside: keyAt(line, 0).path, length, first: null }
  for (let depth = key.path.length; depth > 0; depth -= 1) {
    const place = places.get([...above, ...key.path.slice(0, depth)])?.key
    if (place !== undefined)
      return { section, inside: below(section, above, key.path), length, first: shifted(place, start) }
  }
  return { section, inside: below(section, above, key.path), length, first: null }
}

function parentOf(name: string, paths: Iterable<Path>): Path | null {
  for (const path of paths) {
    const index = path.indexOf(name)
    if (index >= 0) return path.slice(0, index)
  }
  return null
}

/** `above` begins with the section's path, where each list of tables adds a position. */
function below(section: Path, above: Path, key: Path): Path {
  let skipped = 0
  let names = 0
  while (names < section.length && skipped < above.length) {
    if (typeof above[skipped] === 'string') names += 1
    skipped += 1
  }
  const rest = above.slice(skipped)
  // The header's own list position, as in [[a]], belongs to the section.
  return [...(names > 0 && typeof rest[0] === 'number' ? rest.slice(1) : rest), ...key]
}

function shifted(place: Place, lines: number): Place {
  return { ...place, line: place.line + lines }
}
