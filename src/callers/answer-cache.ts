/**
 * Answers kept for equal questions: of each model that has a cache, in this lane's memory. What may be kept, and for how
 * long, cache-rules.ts says; what makes two questions equal, answer-key.ts.
 */
import type { Model, Snapshot } from '../domain/routes.ts'
import type { Clock } from '../kernel/clock.ts'
import { laneShare } from '../kernel/lane-share.ts'
import { type KeptAnswer, KeptAnswers } from './kept-answers.ts'

export interface AnswerCacheParts {
  readonly snapshot: Snapshot
  readonly clock: Pick<Clock, 'now'>
  /** What is kept of a model changed; `isForgotten`: an answer had to leave before its time. */
  onChange(modelIndex: number, bytes: number, isForgotten: boolean): void
}

export class AnswerCache {
  readonly #kept: (KeptAnswers | undefined)[] = []
  readonly #parts: AnswerCacheParts

  constructor(parts: AnswerCacheParts) {
    const { snapshot, clock, onChange } = parts
    this.#parts = parts
    for (const { index, cache } of snapshot.models.values()) {
      if (cache === null) continue
      const kept: KeptAnswers = new KeptAnswers({
        ttlMs: cache.ttlMs,
        bytesMax: laneShare(cache.bytesMax, snapshot.server.lanes),
        clock,
        onGone: (_, isEvicted) => onChange(index, kept.bytes, isEvicted),
      })
      this.#kept[index] = kept
    }
  }

  of({ index }: Model, key: string): KeptAnswer | undefined {
    return this.#kept[index]?.of(key)
  }

  /** False: it is larger than all that may be kept. */
  keep({ index }: Model, key: string, kept: KeptAnswer): boolean {
    const store = this.#kept[index]
    if (store === undefined || !store.keep(key, kept)) return false
    this.#parts.onChange(index, store.bytes, false)
    return true
  }
}
