/**
 * What the lines that could not be read were about. What seems to be missing or unknown there may only
 * be unreadable, so nothing is concluded from its absence; everything else is checked as usual.
 */
import { Cuts } from './cuts.ts'
import { type Path, pathId } from './problem.ts'
import { headerPath, subjects } from './sections.ts'

export class Unreadable {
  readonly #cuts = new Cuts()
  /** Tables whose header is gone: a table below it now stands where a list stood. */
  readonly #headers = new Set<string>()

  /** Lines from `from` to before `to`, before they are blanked. */
  add(lines: readonly string[], from: number, to: number): void {
    for (const path of subjects(lines, from, to)) this.#cuts.add(path)
  }

  loseHeader(line: string): void {
    this.#headers.add(pathId(headerPath(line)))
  }

  addAll(): void {
    this.#cuts.add([])
  }

  /** Nothing at, in or around the path was left out. */
  isComplete(path: Path): boolean {
    return this.#cuts.isSound(namesOf(path))
  }

  hasHeader(path: Path): boolean {
    return this.#headers.size === 0 || !this.#headers.has(pathId(namesOf(path)))
  }
}

/** Headers name no positions. */
function namesOf(path: Path): Path {
  return path.filter((step) => typeof step === 'string')
}
