/**
 * Ends this process now, as the signal's default would. `process.exit` is no way out while lanes run: it
 * tears down their threads, which the HTTP server's native code answers by aborting with a stack trace.
 */

/** The shell sees 128 + the signal's number. */
export function endAtOnce(name: NodeJS.Signals): void {
  process.removeAllListeners(name)
  process.kill(process.pid, name)
}
