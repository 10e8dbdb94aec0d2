/**
 * How long a request holds its place, from what was seen in this lane lately: what a wait in line is estimated from.
 *
 * The mean is Little's: time held by all, ended or not, over the number that ended. So places that stop coming back
 * make it grow while they do, and a mixture of short answers and long streams gives the rate at which places
 * are freed, which is what whoever waits for one wants to know. Deterministic; one for each model of a lane.
 */

/** Fewer ended requests than this say nothing. */
const ENDED_MIN = 8
/** At so many, half of them is forgotten. */
const ENDED_MAX = 32
/** What was seen before nothing was under way for so long is forgotten. */
const FORGET_MS = 10_000
/** Toward a shorter time quickly, toward a longer one slowly: near the short end of what is seen. */
const TOWARD_SHORTER = 0.25
const TOWARD_LONGER = 1 / 64

export class HoldingTime {
  /** Place-milliseconds. */
  #held = 0
  #ended = 0
  #running = 0
  #at = 0
  #short = 0

  /** From `now` on so many places are held. */
  holding(running: number, now: number): void {
    if (this.#running === 0 && now - this.#at > FORGET_MS) {
      this.#held = 0
      this.#ended = 0
    }
    this.#held += this.#running * (now - this.#at)
    this.#at = now
    this.#running = running
  }

  /** A place was given back after `heldMs`. */
  ended(heldMs: number): void {
    this.#short += (heldMs - this.#short) * (heldMs < this.#short ? TOWARD_SHORTER : TOWARD_LONGER)
    if (this.#ended === 0) this.#short = heldMs
    this.#ended += 1
    if (this.#ended < ENDED_MAX) return
    this.#ended /= 2
    this.#held /= 2
  }

  /** 0 while too little is known. */
  meanMs(now: number): number {
    if (this.#ended < ENDED_MIN) return 0
    return (this.#held + this.#running * (now - this.#at)) / this.#ended
  }

  /** What even a quick one takes; 0 while too little is known. */
  get shortMs(): number {
    return this.#ended < ENDED_MIN ? 0 : this.#short
  }
}
