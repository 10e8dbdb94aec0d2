/** The configured name a misspelt one probably means: at most two edits away, else null. */
const EDITS_MAX = 2
const NAME_LENGTH_MAX = 64
/** Names looked at before giving up: a refusal must stay cheap with thousands of models. */
const NAMES_MAX = 256

export function nearestName(name: string, names: Iterable<string>): string | null {
  if (name.length > NAME_LENGTH_MAX) return null
  let best: string | null = null
  let bestEdits = EDITS_MAX + 1
  let seen = 0
  for (const candidate of names) {
    seen += 1
    if (seen > NAMES_MAX) break
    if (Math.abs(candidate.length - name.length) >= bestEdits) continue
    const edits = editDistance(name, candidate)
    if (edits < bestEdits) {
      best = candidate
      bestEdits = edits
    }
  }
  return best
}

/** Levenshtein distance by rows. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= right.length; j += 1) {
      const swap = row[j - 1]! + (left[i - 1] === right[j - 1] ? 0 : 1)
      next.push(Math.min(swap, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[right.length]!
}
