/**
 * What was measured already, in a file beside the build: a run that was interrupted goes on where it was. It
 * belongs to one build and one plan; those of others are not gone on with.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Summary } from './summary.ts'

interface Content {
  readonly key: string
  readonly points: readonly Summary[]
}

export class Kept {
  readonly #file: string
  readonly #key: string
  #points: readonly Summary[] = []

  constructor(file: string, key: string, isFresh: boolean) {
    this.#file = file
    this.#key = key
    if (isFresh || !existsSync(file)) return
    const content = JSON.parse(readFileSync(file, 'utf8')) as Content
    if (content.key === key) this.#points = content.points
  }

  get points(): readonly Summary[] {
    return this.#points
  }

  has(work: string, point: string): boolean {
    return this.#points.some((known) => known.work === work && known.point === point)
  }

  add(summary: Summary): void {
    this.#points = [...this.#points, summary]
    const content: Content = { key: this.#key, points: this.#points }
    writeFileSync(this.#file, JSON.stringify(content))
  }
}

/** Of what runs: the compiled sources, not the commit they are said to come from. */
export function buildHash(tree: string): string {
  const hash = createHash('sha256')
  const from = join(tree, 'build/src')
  const files = readdirSync(from, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.js'),
  )
  for (const name of files.sort()) hash.update(name).update(readFileSync(join(from, name)))
  return hash.digest('hex').slice(0, 16)
}
