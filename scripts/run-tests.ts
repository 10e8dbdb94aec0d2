/**
 * tap as `npm test` runs it: every test file in a process that is Node and the test, nothing else.
 *
 * By itself tap puts a loader into each of them, and into every process and thread that the test starts, to know which
 * sources were used. Only `npm run coverage` wants to know, and a test with a gateway takes 2.5 s of CPU without it
 * and 6.5 s with it (Node 20.19). What follows goes to tap: `npm test -- build/test/cli/demo.test.js`.
 */
import t, { Spawn } from 'tap'

t.on('spawn', (test) => {
  if (!(test instanceof Spawn)) return
  const file = test.args.findIndex((word) => !word.startsWith('-'))
  // tap writes its loader into this variable, too, when the process starts; `env` has the last word.
  test.args = [`NODE_OPTIONS=${process.env.NODE_OPTIONS ?? ''}`, test.command, ...test.args.slice(file)]
  test.command = 'env'
})

await import(new URL('run.mjs', import.meta.resolve('tap')).href)
