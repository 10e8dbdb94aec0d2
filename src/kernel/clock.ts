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

/** `performance.now()` may begin anew in each thread; the clock behind it is the machine's. */
const SINCE_ORIGIN = sinceOrigin()

/** Of several tries the one between whose two looks at the machine's clock the least time went by: exact to 1 µs. */
function sinceOrigin(): number {
  let [origin, least] = [0, Number.POSITIVE_INFINITY]
  for (let tries = 0; tries < 10; tries += 1) {
    const before = Number(process.hrtime.bigint())
    const own = performance.now()
    const after = Number(process.hrtime.bigint())
    if (after - before >= least) continue
    least = after - before
    origin = (before + after) / 2e6 - own
  }
  return origin
}

export const systemClock: Clock = {
  now: () => performance.now() + SINCE_ORIGIN,
  wall: () => Date.now(),
}
