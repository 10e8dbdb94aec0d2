/** `npm test` itself: it fails for what fails, and the processes of its tests are Node and nothing else. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'

const RUN_TESTS = resolve(import.meta.dirname, '../../scripts/run-tests.js')
// The loader of `npm run coverage` goes wherever this process goes.
const skip = process.execArgv.some((word) => word.includes('processinfo')) && 'NOT RUN: coverage is measured'

const PLAIN = `import t from 'tap'
t.strictSame([process.execArgv, process.env.NODE_OPTIONS], [[], ''], 'no loader')`
const FAILS = `import t from 'tap'
t.test('a false sentence', async (t) => t.equal(1, 2, 'one is two'))`

t.test('it passes what passes, without a loader, and fails for what fails', { skip }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'modelgate-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  symlinkSync(resolve('node_modules'), join(directory, 'node_modules'))
  copyFileSync('.taprc', join(directory, '.taprc'))
  const files = { 'package.json': '{ "type": "module" }', 'plain.test.js': PLAIN, 'fails.test.js': FAILS }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  // As from a shell: nothing of the run that this test belongs to.
  const outside = Object.entries(process.env).filter(([name]) => !/^_?TAP|^NODE_OPTIONS$/.test(name))
  const { status, stdout } = spawnSync(
    process.execPath,
    [RUN_TESTS, '--reporter=tap', 'plain.test.js', 'fails.test.js'],
    { cwd: directory, env: Object.fromEntries(outside), encoding: 'utf8' },
  )
  t.match(stdout, /^ok \d - plain\.test\.js/m)
  t.match(stdout, /^not ok \d - fails\.test\.js/m)
  t.match(stdout, 'one is two', 'and says what')
  t.equal(status, 1)
})
