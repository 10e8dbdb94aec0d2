/**
 * `npm run kill-loop` starts a gateway under random load, kills it (kill -9) at a random moment, starts it again on the
 * same log and looks whether every promise of the log was kept; 200 times (`-- --cycles N`). What a cycle does follows
 * from its number and the seed, which is printed: `-- --seed S --first N --cycles 1` does one again. Exit code 1 when a
 * promise was broken; the log is then left where it is.
 */
import { rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { KillLoop } from './kill-loop/cycles.ts'

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '200' },
    first: { type: 'string', default: '0' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const [cycles, first, seed] = [Number(values.cycles), Number(values.first), Number(values.seed)]
if (![cycles, first, seed].every((number) => Number.isSafeInteger(number) && number >= 0)) {
  console.error('usage: npm run kill-loop -- [--cycles N] [--seed S] [--first N], whole numbers')
  process.exit(2)
}

console.log(`seed ${seed}, cycles ${first} to ${first + cycles - 1}`)
const loop = await KillLoop.open(seed)
for (let cycle = first; cycle < first + cycles; cycle += 1) {
  await loop.run(cycle)
  const isSome = (cycle + 1 - first) % 10 === 0 || cycle + 1 === first + cycles
  if (isSome) console.log(`${new Date().toISOString()} after cycle ${cycle}: ${loop.summary}`)
  if (loop.broken.length > 0) break
}
await loop.close()
if (loop.broken.length === 0) {
  rmSync(loop.directory, { recursive: true, force: true })
  console.log('every promise was kept')
} else {
  for (const words of loop.broken.slice(0, 20)) console.log(`BROKEN ${words}`)
  console.log(`the log is in ${loop.directory}`)
  process.exitCode = 1
}
