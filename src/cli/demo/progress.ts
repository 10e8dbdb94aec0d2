/**
 * What is seen while the demo runs: one line for each thing that happens, and how far it is. On a terminal
 * that is a bar which is drawn again in place; elsewhere a plain line every few seconds, so a log of it
 * reads well. Never writes between `end` and the next start.
 */
import type { Clock } from '../../kernel/clock.ts'
import { paintFor } from './paint.ts'
import { count, wrap } from './table.ts'

export interface Position {
  readonly phase: string
  readonly done: number
  readonly of: number
  readonly perSecond: number
  readonly ok: number
  readonly degraded: number
  readonly failed: number
}

export interface ProgressParts {
  write(text: string): void
  /** A terminal: escape sequences are welcome. */
  readonly isTerminal: boolean
  readonly columns: number
  readonly clock: Clock
}

const BAR_CELLS = 20
const PLAIN_EVERY_MS = 5000
const LINE_CHARS = 98
/** Back to the first column, and nothing behind it. */
const ERASE = '\r\u001b[K'

export class Progress {
  readonly #parts: ProgressParts
  readonly #startedAt: number
  #position: Position | null = null
  #isDrawn = false
  #plainAt = 0

  constructor(parts: ProgressParts) {
    this.#parts = parts
    this.#startedAt = parts.clock.now()
    this.#plainAt = this.#startedAt + PLAIN_EVERY_MS
  }

  get elapsedMs(): number {
    return this.#parts.clock.now() - this.#startedAt
  }

  /** Something happened. `aside` lines are about what was said before. */
  say(text: string, kind: 'step' | 'aside' = 'step'): void {
    const { isTerminal, write } = this.#parts
    const paint = paintFor(isTerminal)
    const stamp = kind === 'step' ? `${(this.elapsedMs / 1000).toFixed(1)} s`.padStart(7) : ' '.repeat(7)
    const lead = kind === 'step' ? '  ' : '    '
    const lines = wrap(text, LINE_CHARS - stamp.length - lead.length)
    this.#erase()
    for (const [index, line] of lines.entries()) {
      const margin = index === 0 ? paint.faint(stamp) : ' '.repeat(stamp.length)
      write(`${margin}${lead}${kind === 'step' ? paint.bold(line) : line}\n`)
    }
    this.#draw()
  }

  at(position: Position): void {
    this.#position = position
    if (this.#parts.isTerminal) {
      this.#erase()
      this.#draw()
      return
    }
    const now = this.#parts.clock.now()
    if (now < this.#plainAt) return
    this.#plainAt = now + PLAIN_EVERY_MS
    this.#parts.write(`${' '.repeat(9)}${plainLine(position)}\n`)
  }

  /** The bar goes; what was said stays. */
  end(): void {
    this.#erase()
    this.#position = null
  }

  #draw(): void {
    if (!this.#parts.isTerminal || this.#position === null) return
    this.#parts.write(barLine(this.#position).slice(0, Math.max(1, this.#parts.columns - 1)))
    this.#isDrawn = true
  }

  #erase(): void {
    if (!this.#isDrawn) return
    this.#parts.write(ERASE)
    this.#isDrawn = false
  }
}

export function barLine(position: Position): string {
  const portion = position.of === 0 ? 0 : Math.min(1, position.done / position.of)
  const full = Math.floor(portion * BAR_CELLS)
  const bar = `${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)}`
  return `${bar} ${plainLine(position)}`
}

export function plainLine({ phase, done, of, perSecond, ok, degraded, failed }: Position): string {
  const counts = `${count(ok)} ok, ${count(degraded)} degraded, ${count(failed)} failed`
  return `${count(done)}/${count(of)}  ${count(perSecond)}/s  ${counts}  ${phase}`
}
