/**
 * The valid word nearest to a mistyped one. Counts insertions, deletions, substitutions and swaps of
 * neighbours (optimal string alignment), and says nothing rather than something far-fetched.
 */
const WORD_MAX = 64

/** Undefined when nothing is near: more than a third of the word (at least one letter) would change. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > WORD_MAX) return undefined
  const wanted = word.toLowerCase()
  let best: string | undefined
  let bestDistance = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate.toLowerCase())
    if (distance < bestDistance && distance <= reach(wanted, candidate)) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Words that differ only by how they are joined (`first-byte`, `firstByte`) are near at any length. */
function reach(word: string, candidate: string): number {
  if (word.replace(/[-_ .]/g, '') === candidate.toLowerCase().replace(/[-_ .]/g, '')) return WORD_MAX
  return Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3))
}

export function editDistance(left: string, right: string): number {
  const width = right.length + 1
  let beforeLast: number[] = []
  let last = Array.from({ length: width }, (_, column) => column)
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row]
    for (let column = 1; column < width; column += 1) {
      const same = left[row - 1] === right[column - 1]
      let cost = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1))
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      if (row > 1 && column > 1 && swapped) cost = Math.min(cost, beforeLast[column - 2]! + 1)
      current.push(cost)
    }
    beforeLast = last
    last = current
  }
  return last[width - 1]!
}
