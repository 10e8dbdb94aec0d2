/**
 * Time as an argument. Everything that needs the time is handed a Clock, so tests move it by hand
 * and deterministic folders never read it themselves.
 *
 * `now()` is monotonic milliseconds with a fraction (about 50 ns a call) and never goes back: all
 * durations and deadlines use it. `wall()` is Unix milliseconds: only for what people read.
 */
export interface Clock {
  now(): number
  wall(): number
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
}
