/**
 * Time as an argument. Everything that needs the time is handed a Clock, so tests move it by hand
 * and deterministic folders never read it themselves.
 *
 * `now()` is monotonic milliseconds with a fraction (about 50 ns a call) and never goes back: all
 * durations and deadlines use it. It counts from some moment that is the same for all threads of the process, because
 * what they share holds times (observe/breaker-memory.ts). `wall()` is Unix milliseconds: only for what people read.
 */
export interface Clock {
  now(): number
  wall(): number
}

/** `performance.now()` begins anew in each thread; the clock behind it is the machine's. Exact to 1 µs. */
const SINCE_ORIGIN = Number(process.hrtime.bigint()) / 1e6 - performance.now()

export const systemClock: Clock = {
  now: () => performance.now() + SINCE_ORIGIN,
  wall: () => Date.now(),
}
