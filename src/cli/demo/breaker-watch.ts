/**
 * Follows every breaker by way of the admin API and tells each change once, in the order it happened.
 * What it knows is what any operator can see.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { HostPort } from '../../domain/routes.ts'
import type { Clock } from '../../kernel/clock.ts'
import { type DatedChange, readBreakers } from './admin-client.ts'

const LOOK_EVERY_MS = 100

export interface Change extends DatedChange {
  readonly model: string
  readonly version: string
}

export interface BreakerWatchParts {
  readonly admin: HostPort
  readonly clock: Clock
  /** Ends waiting. */
  readonly signal: AbortSignal
  onChange(change: Change): void
}

export class BreakerWatch {
  /** Oldest first. */
  readonly changes: Change[] = []
  readonly #admin: HostPort
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #onChange: (change: Change) => void
  readonly #seen = new Set<string>()
  #notClosed: ReadonlySet<string> = new Set()

  constructor(parts: BreakerWatchParts) {
    this.#admin = parts.admin
    this.#clock = parts.clock
    this.#signal = parts.signal
    this.#onChange = parts.onChange
  }

  /** Places in `changes` from now on are of what happens from now on. */
  async look(): Promise<void> {
    const reports = await readBreakers(this.#admin)
    this.#notClosed = new Set(
      reports.filter(({ state }) => state !== 'closed').map(({ model, version }) => `${model}\n${version}`),
    )
    const fresh = reports
      .flatMap(({ model, version, changes }) => changes.map((change) => ({ ...change, model, version })))
      .filter((change) => !this.#seen.has(keyOf(change)))
      .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
    // Two changes of one millisecond come latest first and stay so in a stable sort.
    for (const change of inOrder(fresh)) {
      this.#seen.add(keyOf(change))
      this.changes.push(change)
      this.#onChange(change)
    }
  }

  /** The first change from place `from` on that fits; null when none came in time. */
  async until(from: number, fits: (change: Change) => boolean, withinMs: number): Promise<Change | null> {
    const found = () => this.changes.slice(from).find(fits)
    return (await this.#lookUntil(() => found() !== undefined, withinMs)) ? found()! : null
  }

  /** Whether the breaker is closed now, or was before the time ran out. */
  untilClosed(model: string, version: string, withinMs: number): Promise<boolean> {
    return this.#lookUntil(() => !this.#notClosed.has(`${model}\n${version}`), withinMs)
  }

  async #lookUntil(isSo: () => boolean, withinMs: number): Promise<boolean> {
    const until = this.#clock.now() + withinMs
    for (;;) {
      await this.look()
      if (isSo()) return true
      if (this.#clock.now() > until) return false
      await pause(LOOK_EVERY_MS, undefined, { signal: this.#signal })
    }
  }
}

function keyOf({ model, version, from, to, at, why }: Change): string {
  return [model, version, from, to, at, why].join('\n')
}

/** Changes of one version chain: where one ends the next begins. */
function inOrder(changes: readonly Change[]): Change[] {
  const ordered = [...changes]
  for (let index = 1; index < ordered.length; index += 1) {
    const [before, after] = [ordered[index - 1]!, ordered[index]!]
    const isSame = before.at === after.at && before.version === after.version && before.model === after.model
    if (isSame && after.to === before.from) ordered.splice(index - 1, 2, after, before)
  }
  return ordered
}
