/**
 * How many copies of one version may be under way at once (`shadows[].max_concurrent`). Each lane
 * enforces its share, at least one, so that the sum over lanes keeps to the configured number.
 */
import type { Shadow, Version } from '../domain/routes.ts'

export class ShadowCaps {
  readonly #lanes: number
  readonly #underWay = new Map<number, number>()

  constructor(lanes: number) {
    this.#lanes = lanes
  }

  /** True: go, and call `leave` at the end. False: the cap is reached. */
  enter(version: Version, settings: Shadow): boolean {
    const underWay = this.#underWay.get(version.index) ?? 0
    if (underWay >= Math.max(1, Math.floor(settings.concurrentMax / this.#lanes))) return false
    this.#underWay.set(version.index, underWay + 1)
    return true
  }

  leave(version: Version): void {
    this.#underWay.set(version.index, (this.#underWay.get(version.index) ?? 1) - 1)
  }
}
