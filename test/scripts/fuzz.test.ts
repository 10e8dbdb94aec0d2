/**
 * The campaigns of `npm run fuzz`: a sample of the request side, with new cases in each run, and that no run goes on
 * for ever. The samples of the answer side are in test/forward/http1/oracle.test.ts and
 * test/journeys/no-endpoint-fools-a-client.test.ts.
 */
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { requests } from '../../scripts/fuzz/requests.ts'
import { supervise } from '../../scripts/fuzz/supervise.ts'

/** Never bounded by time: on a slow machine they take longer, and are as many. */
const CASES = 600
const MAIN = resolve(import.meta.dirname, '../../scripts/fuzz/main.js')

t.test('any bytes of callers keep the laws, in another sample each time', async (t) => {
  const seed = randomInt(1_000_000_000)
  const { done, findings, tables } = await requests({
    cases: CASES,
    seed,
    underWay: new Set(),
    print: () => {},
    isOver: () => false,
    isWithoutStays: true,
  })
  t.strictSame(findings, [], `npm run fuzz -- requests --cases ${done} --seed ${seed}`)
  t.equal(done, CASES)
  t.ok(tables.outcomes!.size > 10, `${tables.outcomes!.size} kinds of outcomes`)
})

t.test('a campaign that spins, hangs or does not end is ended, and has not passed', async (t) => {
  const beat = (words: string, isOver: boolean) => `process.send({ underWay: ${words}, isOver: ${isOver} })`
  const programs = {
    passes: [`${beat('[]', true)}; process.disconnect()`, true, 60_000],
    'finds something': ['process.exitCode = 1; process.disconnect()', false, 60_000],
    dies: ['throw new Error("on purpose")', false, 60_000],
    spins: ['while (true);', false, 1_200],
    hangs: [`setInterval(() => ${beat('["case 7"]', false)}, 50)`, false, 1_200],
    'does not end': [`${beat('[]', true)}; setInterval(() => {}, 50)`, false, 1_200],
  } as const
  const directory = t.testdir({})
  const run = { name: 'answers', cases: 1, seed: 1, minutes: 1 }
  await Promise.all(
    Object.entries(programs).map(async ([what, [text, held, patienceMs]]) => {
      const file = join(directory, `${what.replaceAll(' ', '-')}.mjs`)
      writeFileSync(file, text)
      t.equal(await supervise(run, patienceMs, file), held, what)
    }),
  )
})

t.test('the command line helps, and tells right from wrong', (t) => {
  const run = (...words: string[]) => spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8' })
  const help = run('--help')
  t.equal(help.status, 0)
  for (const name of ['answers', 'gateway-answers', 'requests']) t.match(help.stdout, `  ${name} `)
  for (const wrong of [['nonsense'], ['answers', '--cases', 'x'], ['answers', '--cases', '0'], ['--wrong']]) {
    t.equal(run(...wrong).status, 2, wrong.join(' '))
  }
  const short = run('answers', '--cases', '300', '--seed', '5')
  t.equal(short.status, 0, 'a short run passes')
  t.match(short.stdout, /300 cases from seed 5 in .* s/)
  t.end()
})
