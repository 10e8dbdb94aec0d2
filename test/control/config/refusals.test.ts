/**
 * What the checker refuses, and how well it says so. Single mistakes are in test/corpus/config, one for
 * each thing somebody will get wrong; here is what several of them do together.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { checkConfig } from '../../../src/control/config/check-config.ts'
import { asMark, checked, context, mistakes, problemsOf } from '../../support/config-mistakes.ts'

const REMOTE = 'endpoints = ["http://h:1"]'
const TWO = `[models.m.versions.v1]\n${REMOTE}\n[models.m.versions.v2]\n${REMOTE}\n`

/** A model with two versions and one more line in a table of its own. */
const inModel = (table: string, line: string): string => `${TWO}[models.m.${table}]\n${line}\n`
const inVersion = (lines: string): string => `[models.m.versions.v1]\n${lines}\n`

t.test(
  'each mistake of the corpus is reported at its place, in its words, and nothing else is',
  async (t) => {
    const corpus = mistakes()
    t.ok(corpus.length > 90, 'the corpus was found')
    for (const { name, text, errors } of corpus) {
      const problems = problemsOf(text)
      const found = problems.filter((problem) => problem.severity === 'error')
      t.same(found.map(asMark), errors, name)
      t.ok(
        problems.every((problem) => problem.expected !== ''),
        `${name}: what was expected is said`,
      )
    }
  },
)

t.test('what is suggested is not refused in its turn', async (t) => {
  let applied = 0
  for (const { name, text } of mistakes()) {
    for (const { line, column, length, suggestion } of problemsOf(text)) {
      if (suggestion === undefined) continue
      applied += 1
      const lines = text.split('\n')
      const own = lines[line - 1]!
      lines[line - 1] = `${own.slice(0, column - 1)}${suggestion}${own.slice(column - 1 + length)}`
      const left = problemsOf(lines.join('\n')).filter(
        (problem) => problem.severity === 'error' && problem.line === line && problem.column === column,
      )
      t.same(left, [], `${name}: ${suggestion}`)
    }
  }
  t.ok(applied > 25, `${applied} suggestions`)
})

t.test('the contract’s own example has no problem but what is not implemented yet', async (t) => {
  const text = readFileSync('test/corpus/config/contract/gateway.toml', 'utf8')
  const read: string[] = []
  const result = checkConfig(text, {
    ...context,
    readFile: (path) => {
      read.push(path)
      return { ok: true, bytes: Buffer.from('{}') }
    },
    fileExists: (path) => path === '/etc/gate/models/fraud/2/model.onnx',
  })
  const problems = result.ok ? result.warnings : result.problems
  const notYet = (what: string): string =>
    `recognised, but this version of modelgate does not implement ${what} yet`
  t.same(
    problems.map(({ severity, line, column, path, message }) => [severity, line, column, path, message]),
    [
      [
        'warning',
        20,
        75,
        'models.fraud.timeouts.idle',
        'never reached: timeouts.total ends the attempt first, after 2s',
      ],
      [
        'warning',
        47,
        1,
        'models.fraud.route.canary',
        'the canary gets nothing while the experiment takes every request',
      ],
      ['error', 51, 25, 'models.fraud.route.shadows[0].version', 'the model has no version "v3"'],
      ['error', 55, 12, 'models.fraud.compare.segments', notYet('comparing by segments')],
      ['error', 57, 14, 'governance.principals', notYet('principals and tokens')],
    ],
  )
  t.same(read, ['/etc/gate/replies/fraud-default.json'])
})

t.test('what is not implemented yet may be written with its off value', async (t) => {
  const text = `[server]
trust = []
limits = { chunked_requests = "refuse" }
[audit]
mode = "batched"
capture = { percent = 0, redact = ["/parameters/ssn"] }
[upstream]
deny_private = false
[governance]
principals = []
[models.m]
retry = { attempts = 1 }
limits = { adaptive = false }
compare = { segments = [] }
[models.m.versions.v1]
endpoints = ["http://h"]
balance = "round-robin"
pipeline = 1
`
  t.match(checked(text), { ok: true, warnings: [] })
})

t.test('the form of what is not implemented yet is checked all the same', async (t) => {
  const text = `[models.m]\nretry = { attempts = "two" }\n${inVersion(REMOTE)}`
  const [problem, ...more] = problemsOf(text)
  t.match(problem, { path: 'models.m.retry.attempts', message: /"two" is not a whole number/ })
  t.same(more, [])
})

t.test('one run shows every problem, in the order of the file, and no echo of another', async (t) => {
  const text = `[server]
lanes = 0
limts = 1
[models.m]
timeouts = { total = 5, connect = "9s" }
[models.m.versions.v1]
endpoints = ["http://01.1.1.1", "http://h", "http://H"]
[models.m.route]
canary = { version = "v9", percent = 150 }
shadows = [{ percent = 3 }, { version = "v7", percent = "x" }]
`
  const seen = problemsOf(text).map((problem) => `${problem.line}:${problem.column} ${problem.path}`)
  t.same(seen, [
    '2:9 server.lanes',
    '3:1 server.limts',
    '5:22 models.m.timeouts.total',
    '7:14 models.m.versions.v1.endpoints[0]',
    '7:45 models.m.versions.v1.endpoints[2]',
    '9:22 models.m.route.canary.version',
    '9:38 models.m.route.canary.percent',
    '10:12 models.m.route.shadows[0].version',
    '10:41 models.m.route.shadows[1].version',
    '10:57 models.m.route.shadows[1].percent',
  ])
})

t.test('broken TOML is one problem for each section, with its place', async (t) => {
  const text =
    '[server]\nlanes = = 3\nlisten = 5 5\n[models.m\n[models.n]\nprotocl = "raw"\n[models.n.versions.v1]\nendpoints = ["http://h"\n'
  const problems = problemsOf(text)
  t.match(problems[0], { line: 2, message: /invalid TOML/, path: '' })
  t.ok(
    problems.some((problem) => problem.line >= 8 && /invalid TOML/.test(problem.message)),
    'the unfinished list',
  )
  t.ok(problems.every((problem) => problem.severity === 'error'))
})

t.test('repeated keys and tables are refused, and the rest is still checked', async (t) => {
  const text =
    '[server]\nlanes = 1\nlanes = 2\nx = 1\n[models.m.versions.v1]\nendpoints = ["http://h"]\n[models.m.versions.v1]\n'
  const seen = problemsOf(text).map((problem) => `${problem.line}:${problem.column} ${problem.message}`)
  t.same(seen, [
    '3:1 this key is already defined at 2:1',
    '4:1 unknown key "x"',
    '7:2 this table is already defined at 5:20',
  ])
})

const placesAndWords = (text: string): string[] =>
  problemsOf(text).map(({ line, column, path, message }) => `${line}:${column} ${path} ${message}`)

t.test('a syntax error hides nothing in the models it is not about', async (t) => {
  const text = `${TWO}[models.m.route]
primary = "v1"
canary = { version = "v7", percent = 1 }
shadows = [{ version = "v2" }]
[models.m.timeouts]
connect = "3s"
[models.m.on_failure]
error = ["reply:none.json"]
[[governance.principals]]
name = "ana"; roles = ["data-scientist"]; token_sha256 = "0"
[models.n]
key = "client
[models.n.route]
primary = "v9"
percnt = 1
[models.n.output.score]
min = "x"
[models.m.output.score]
path = "/id"
`
  t.same(placesAndWords(text), [
    '7:22 models.m.route.canary.version the model has no version "v7"',
    '10:11 models.m.timeouts.connect timeouts.connect (3s) is longer than timeouts.total, which is 2s by default',
    '12:10 models.m.on_failure.error[0] cannot read none.json: no such file',
    '14:13  invalid TOML: each key-value declaration must be followed by an end-of-line',
    '16:14  invalid TOML: control characters are not allowed in strings',
    '19:1 models.n.route.percnt unknown key "percnt"',
    '21:7 models.n.output.score.min "x" is not a number',
    '22:18 models.m.output.score.type this key is required and missing',
  ])
})

t.test('what could not be read is not taken for missing or misplaced', async (t) => {
  const silent = new Map([
    ['a version', `[models.m.versions.v1]\nendpoints = ["http://h" 5]\n[models.m.route]\nprimary = "v1"\n`],
    ['the versions', `[models.m.versions]\nv1.endpoints = = 1\n[models.m.route]\nprimary = "v1"\n`],
    ['all models', `[models]\nm.versions.v1.endpoints = = 1\n[models.m.route]\nprimary = "v1"\n`],
    ['a header', `[models.m.versions.v1\nendpoints = ["http://h"]\n[models.m.route]\nprimary = "v1"\n`],
    ['half a header', `models.m.versions.v1]\nendpoints = ["http://h"]\n[models.m.route]\nprimary = "v1"\n`],
    ['a header below another', `[server]\nmodels.m.versions.v1]\n[models.m.route]\nprimary = "v1"\n`],
    ['the top', `models.m.versions.v1 = { endpoints = = }\n[models.m.route]\nprimary = "v1"\n`],
    ['a required key', `${inVersion(REMOTE)}[models.m.output.s]\npath = = 1\n`],
    [
      'a listed table',
      `${TWO}[models.m.route]\nprimary = "v1"\n[[models.m.route.rules]\n[models.m.route.rules.when]\nheader = "a"\n`,
    ],
    [
      'an entry',
      `${TWO}[models.m.route]\nprimary = "v1"\n[[models.m.route.rules]]\nversion = v2\n[models.m.route.rules.when]\nheader = "a"\npresent = true\n`,
    ],
    [
      'the admin address',
      `[server]\nadmin = "127.0.0.1:8080"\nlisten = "127.0.0.1:1"; lanes = 1\n${inVersion(REMOTE)}`,
    ],
    [
      'an unclosed list',
      `[models.m.versions.v1]\nendpoints = ["http://h"\n\n[models.m.route]\nprimary = "v1"\n`,
    ],
    [
      'a key on a line with a repeated one',
      `[models.m]\nversions = { v1 = { endpoints = ["http://h"], endpoints = [] } }\n`,
    ],
  ])
  for (const [name, text] of silent) {
    const seen = problemsOf(text)
    t.equal(seen.length, 1, `${name}: ${JSON.stringify(seen.map((problem) => problem.message))}`)
    t.match(seen[0]?.message, /invalid TOML|already defined/, name)
  }
  const open = `${inVersion('endpoints = ["http://h",')}\n[server]\nlanes = 0\n`
  t.same(placesAndWords(open), [
    '2:25  invalid TOML: invalid value before the next section',
    '5:9 server.lanes 0 is too small',
  ])
})

t.test('what is written twice is named, with the place of the first', async (t) => {
  const rule = (header: string): string =>
    `[[models.m.route.rules]]\nversion = "v2"\nwhen = { header = "${header}", present = true }\n`
  const repeats = new Map([
    ['[server]\nlanes = 1\n  lanes = 2\n', ['3:3 server.lanes this key is already defined at 2:1']],
    [
      '[server]\nlimits.body = "1B"\nlimits.body = "2B"\n',
      ['3:1 server.limits.body this key is already defined at 2:8'],
    ],
    [
      '[server]\nlimits = { body = "1B", headers = "1KiB", body = "2B" }\n',
      ['2:43 server.limits.body this key is already defined at 2:12'],
    ],
    [
      '[server]\nlimits = { body = "1B" }\n[server.limits]\nbody = "2B"\n',
      ['3:2 server.limits this table is already defined at 2:1'],
    ],
    [
      '[server.limits]\nbody = "1B"\n[server]\nlimits.body = "2B"\n',
      ['4:1 server.limits.body this key is already defined at 2:1'],
    ],
    ['[server]\n"lanes" = 1\nlanes = 2\n', ['3:1 server.lanes this key is already defined at 2:1']],
    [
      `[models.m.route]\nprimary = "v1"\n${rule('a')}${rule('b')}version = "v1"\n${rule('c')}`,
      ['9:1 models.m.route.rules[1].version this key is already defined at 7:1'],
    ],
  ])
  for (const [text, wanted] of repeats) {
    const route = text.includes('route') ? '' : '[models.m.route]\nprimary = "v1"\npin = true\n'
    const seen = placesAndWords(`${text}${TWO}${route}`)
    t.same(seen.slice(0, 1), wanted, text)
    t.equal(seen.length, 1, seen.join())
  }
})

t.test('an empty second table hides nothing, one with keys of its own hides its model’s rules', async (t) => {
  const text = `${inVersion(REMOTE)}[models.m.route]\nprimary = "v9"\npin = true\n[models.m.route] # again\n`
  t.same(placesAndWords(text), [
    '4:11 models.m.route.primary the model has no version "v9"',
    '6:2 models.m.route this table is already defined at 3:11',
  ])
  t.same(placesAndWords(`${text}rules = []\n`), ['6:2 models.m.route this table is already defined at 3:11'])
})

t.test('numbers no program can hold exactly are refused where they stand', async (t) => {
  const text = `[scoring]\nqueue = 9007199254740993\n${inVersion(REMOTE)}`
  t.match(problemsOf(text), [{ line: 2, severity: 'error' }])
})

t.test('doubts are warnings and do not stop the gateway', async (t) => {
  const warned = (text: string): string[] => {
    const result = checked(text)
    t.equal(result.ok, true, text)
    return result.ok ? result.warnings.map((problem) => `${problem.severity} ${problem.path}`) : []
  }
  t.same(warned(''), ['warning models'])
  t.same(warned(`${inVersion(REMOTE)}[models.m.timeouts]\nidle = "3s"\n`), ['warning models.m.timeouts.idle'])
  t.same(warned(inVersion('runtime = "onnx"\nfile = "none.onnx"')), ['warning models.m.versions.v1.file'])
  t.same(warned(`${inVersion(REMOTE)}[models.m.retry]\nhedge_budget = 0.1\n`), [
    'warning models.m.retry.hedge_budget',
  ])
  t.same(warned(`${inVersion(`${REMOTE}\npipeline = 8`)}[models.m.retry]\nhedge_after = "p95"\n`), [
    'warning models.m.versions.v1.pipeline',
  ])
  t.same(
    warned(`${inVersion('runtime = "onnx"\nfile = "m.onnx"')}[models.m.retry]\nhedge_after = "30ms"\n`),
    ['warning models.m.retry.hedge_after'],
  )
  t.same(warned(inModel('route', 'primary = "v1"')), ['warning models.m.versions.v2'])
  t.same(
    warned(
      inModel(
        'route',
        'primary = "v1"\ncanary = { version = "v2", percent = 1 }\nexperiment = { name = "e", arms = { v1 = 50, v2 = 50 } }',
      ),
    ),
    ['warning models.m.route.canary'],
  )
  t.same(
    warned(
      inModel(
        'route',
        'primary = "v1"\nrules = [{ when = { header = "A", equals = "b" }, version = "v2" }, { when = { header = "a", equals = "b" }, version = "v1" }]',
      ),
    ),
    ['warning models.m.route.rules[1]'],
  )
  t.same(warned(`${inVersion(REMOTE)}[models.m.compare]\noutputs = [{ path = "/id", as = "label" }]\n`), [
    'warning models.m.compare.outputs',
  ])
  t.same(warned(`${inVersion(REMOTE)}[models.m.on_failure]\ninvalid_output = ["reply:sorry.bin"]\n`), [
    'warning models.m.on_failure.invalid_output',
  ])
})
