/**
 * The known name a mistyped one probably means, for keys and versions of a configuration, models of a
 * request and commands alike. Counts insertions, deletions, substitutions and swaps of neighbours
 * (optimal string alignment), and says nothing rather than something far-fetched.
 */
const NAME_LENGTH_MAX = 64
/** Names looked at before giving up: a refusal must stay cheap with thousands of models. */
const NAMES_MAX = 256

/** Null when nothing is near: more than a third of the name (at least one letter) would change. */
export function nearestName(name: string, names: Iterable<string>): string | null {
  if (name.length > NAME_LENGTH_MAX) return null
  const wanted = name.toLowerCase()
  let best: string | null = null
  let bestEdits = Number.POSITIVE_INFINITY
  let seen = 0
  for (const candidate of names) {
    seen += 1
    if (seen > NAMES_MAX) break
    if (candidate.length > NAME_LENGTH_MAX) continue
    const edits = editDistance(wanted, candidate.toLowerCase())
    if (edits < bestEdits && edits <= reach(wanted, candidate)) {
      best = candidate
      bestEdits = edits
    }
  }
  return best
}

/** Names that differ only by how they are joined (`first-byte`, `firstByte`) are near at any length. */
function reach(name: string, candidate: string): number {
  if (name.replace(/[-_ .]/g, '') === candidate.toLowerCase().replace(/[-_ .]/g, '')) return NAME_LENGTH_MAX
  return Math.max(1, Math.floor(Math.max(name.length, candidate.length) / 3))
}

export function editDistance(left: string, right: string): number {
  const width = right.length + 1
  let beforeLast: number[] = []
  let last = Array.from({ length: width }, (_, column) => column)
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row]
    for (let column = 1; column < width; column += 1) {
      const same = left[row - 1] === right[column - 1]
      let edits = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1))
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      if (row > 1 && column > 1 && swapped) edits = Math.min(edits, beforeLast[column - 2]! + 1)
      current.push(edits)
    }
    beforeLast = last
    last = current
  }
  return last[width - 1]!
}
