/**
 * What must not outlive a measurement, however it ends: an interrupted one leaves no process and no directory behind.
 */

const left = new Set<() => void>()

/** Done when this process exits, unless it is called off. */
export function atExit(work: () => void): () => void {
  left.add(work)
  return () => void left.delete(work)
}

process.on('exit', () => {
  for (const work of left) work()
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1))
