/** `modelgate check` as people and scripts use it: exit codes, text like a compiler's, one JSON document. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { check } from '../../src/cli/check.ts'

async function run(
  args: readonly string[],
  color = false,
): Promise<{ code: number; out: string; err: string }> {
  let out = ''
  let err = ''
  const stdout = (text: string): void => {
    out += text
  }
  const stderr = (text: string): void => {
    err += text
  }
  const code = await check(args, { stdout, stderr, color })
  return { code, out, err }
}

const VALID = '[models.m.versions.v1]\nendpoints = ["http://h"]\n'
const INVALID =
  '[models.m.versions.v1]\nendpoints = ["http://h"]\n[models.m.rout]\n[models.m.timeouts]\n\ttotal = "2 s"\n'

t.test('a valid file: exit 0 and a summary with its hash', async (t) => {
  const file = join(t.testdir({ 'g.toml': VALID }), 'g.toml')
  const { code, out, err } = await run([file])
  t.equal(code, 0)
  t.equal(err, '')
  t.match(
    out,
    /^valid .*g\.toml: 1 model, 1 version, 0 warnings, configuration [0-9a-f]{12}\n {2}m {2}open-inference {2}v1 \(1 endpoint\)\n$/,
  )
})

t.test(
  'an invalid file: exit 1, each problem with its line, a marker, what was expected and meant',
  async (t) => {
    const file = join(t.testdir({ 'g.toml': INVALID }), 'g.toml')
    const { code, out } = await run(['--config', file])
    t.equal(code, 1)
    t.equal(
      out,
      `${file}:3:11: error: models.m.rout: unknown key "rout"
    3 | [models.m.rout]
      |           ^^^^
  expected one of: protocol, key, timeouts, stream, limits, idempotency, cache, priority, retry, breaker, on_failure, output, versions, route, compare, audit
  did you mean route?

${file}:5:10: error: models.m.timeouts.total: "2 s" is not a duration
    5 | \ttotal = "2 s"
      | \t        ^^^^^
  expected a duration from 1ms to 1h, such as "250ms", "1s" or "5m"
  did you mean "2s"?

invalid ${file}: 2 errors, 0 warnings
`,
    )
  },
)

t.test('--json: one document, for good and bad alike', async (t) => {
  const directory = t.testdir({
    'good.toml': VALID,
    'bad.toml': INVALID,
    'twice.toml': `[server]\nlanes = 1\n\nlanes = 2\n${VALID}`,
  })
  const good = await run([join(directory, 'good.toml'), '--json'])
  t.equal(good.code, 0)
  t.match(JSON.parse(good.out), {
    valid: true,
    errors: 0,
    hash: /^[0-9a-f]{64}$/,
    models: [{ name: 'm', versions: ['v1'] }],
    problems: [],
  })
  const bad = await run(['--json', join(directory, 'bad.toml')])
  t.equal(bad.code, 1)
  t.match(JSON.parse(bad.out), {
    valid: false,
    errors: 2,
    problems: [{ line: 3, column: 11, path: 'models.m.rout', suggestion: 'route' }, {}],
  })
  const twice = await run(['--json', join(directory, 'twice.toml')])
  t.match(JSON.parse(twice.out), {
    errors: 1,
    problems: [
      { line: 4, column: 1, length: 5, path: 'server.lanes', message: 'this key is already defined at 2:1' },
    ],
  })
  const none = await run(['--json', join(directory, 'none.toml')])
  t.equal(none.code, 3)
  t.match(JSON.parse(none.out), { valid: false, problems: [{ message: /no such file/ }] })
})

t.test('what cannot be read is exit 3, what cannot be understood exit 2, help exit 0', async (t) => {
  const directory = t.testdir({ 'g.toml': VALID })
  const none = await run([join(directory, 'none.toml')])
  t.match(none, { code: 3, out: '', err: /none\.toml: cannot read the file: no such file/ })
  t.match(await run(['--colour']), { code: 2, out: '', err: /Unknown option '--colour'[\s\S]*Usage:/ })
  t.match(await run(['a.toml', 'b.toml']), { code: 2, err: /one file at a time/ })
  t.match(await run(['a.toml', '--config', 'b.toml']), { code: 2 })
  t.match(await run(['']), { code: 2 })
  t.match(await run(['--help']), { code: 0, out: /^Usage: modelgate check/ })
})

t.test('without a name it is gateway.toml of this directory', async (t) => {
  const before = process.cwd()
  t.teardown(() => process.chdir(before))
  process.chdir(t.testdir({ 'gateway.toml': VALID }))
  t.match(await run([]), { code: 0, out: /^valid gateway\.toml/ })
})

t.test('colours only when asked for, and never the file’s own control characters', async (t) => {
  const file = join(t.testdir({}), 'g.toml')
  writeFileSync(file, `${INVALID}"\\u001b[2J" = 1 # \u0085\n`)
  const esc = String.fromCharCode(27)
  t.notOk((await run([file])).out.includes(esc))
  t.notOk((await run([file])).out.includes('\u0085'))
  const { out } = await run([file], true)
  t.ok(out.includes(`${esc}[1;31merror:${esc}[0m`))
  t.notOk(out.includes(`${esc}[2J`))
})
