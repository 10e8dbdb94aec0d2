/**
 * The repository checks its own taste. Every law of ARCHITECTURE.md and CONTRIBUTING.md that can be read
 * from the sources is here; a broken one is reported as file:line, the reason, and what to do instead.
 * The last test breaks each law on purpose, so a law that stopped seeing is seen.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { faultTable } from '../scripts/write-fault-table.ts'
import { FAULTS } from '../src/domain/fault.ts'
import { checkBans, checkPlaces, checkWords } from './support/tidy-bans.ts'
import { DOORS } from './support/tidy-doors.ts'
import { checkCycles, checkDoors, checkLayers } from './support/tidy-imports.ts'
import { checkMirror } from './support/tidy-mirror.ts'
import {
  checkExports,
  checkFileNames,
  checkFileSize,
  checkFunctions,
  checkHeader,
  checkNames,
  checkUsualSize,
  stringsOf,
} from './support/tidy-shape.ts'
import { listFiles, readSources, readText, type Source, type Violation } from './support/tidy-tree.ts'

const ROOT = process.cwd()
const all = readSources(ROOT)
const src = all.filter(({ path }) => path.startsWith('src/'))
const tests = all.filter(({ path }) => path.startsWith('test/'))
const product = all.filter(({ path }) => !path.startsWith('test/'))
const withHeader = all.filter(({ path }) => !path.endsWith('.test.ts'))

/** Files and folders that no test of their own folder reaches, each with what proves them instead. */
const PROVED_ELSEWHERE = new Map([
  ['domain/', 'nouns without behaviour: every test builds them'],
  ['main.ts', 'journeys run the built command'],
])

t.test('stages never import each other, and everybody keeps to the table of layers', async (t) => {
  none(t, checkLayers(src))
})

t.test('each package is imported through its one door', async (t) => {
  none(t, checkDoors(src, DOORS))
})

t.test('every door belongs to a package that is installed for production', async (t) => {
  const { dependencies, optionalDependencies } = JSON.parse(readText(ROOT, 'package.json'))
  const installed = new Set(Object.keys({ ...dependencies, ...optionalDependencies }))
  const doors = DOORS.map((door) => door.package).filter((name) => !name.startsWith('node:'))
  t.strictSame(
    doors.filter((name) => !installed.has(name)),
    [],
  )
  const used = new Set(src.flatMap(({ imports }) => imports.map(({ to }) => to)))
  t.strictSame(
    [...installed].filter((name) => !used.has(name)),
    [],
    'a dependency that nothing imports is removed',
  )
})

t.test('no file imports itself by way of others', async (t) => {
  none(t, checkCycles(src))
})

t.test('clock, chance, environment, console and timers are used where they belong', async (t) => {
  none(t, checkBans(src))
})

t.test('no check is switched off, no work is left behind in a comment', async (t) => {
  none(t, checkWords(all))
})

t.test('no text names a place of one machine', async (t) => {
  const paths = listFiles(
    ROOT,
    ['src', 'test', 'scripts', 'config'],
    ['.ts', '.mjs', '.md', '.toml', '.json'],
  )
  none(
    t,
    paths.flatMap((path) => checkPlaces(path, readText(ROOT, path))),
  )
})

t.test('files and folders have kebab-case names that say what is inside', async (t) => {
  none(t, checkFileNames(all.map(({ path }) => path)))
})

t.test('no file is longer than 400 lines, and nine of ten are shorter than 250', async (t) => {
  none(
    t,
    all.flatMap(({ path, text }) => checkFileSize(path, text)),
  )
  none(t, checkUsualSize(src))
})

t.test('no function is longer than 60 lines or takes more than 4 parameters', async (t) => {
  none(t, product.flatMap(checkFunctions))
})

t.test('every file starts by saying what it promises', async (t) => {
  none(t, withHeader.flatMap(checkHeader))
})

t.test('exports have names, and only registries pass on what others export', async (t) => {
  none(t, all.flatMap(checkExports))
})

t.test('names are not abbreviated and say what a thing is', async (t) => {
  none(t, product.flatMap(checkNames))
})

t.test(
  'every source is reached by a test of its own folder, or is proved elsewhere for a reason',
  async (t) => {
    none(t, checkMirror(src, tests, PROVED_ELSEWHERE))
  },
)

t.test('every test outside journeys and contracts mirrors a folder of the sources', async (t) => {
  const folders = new Set(src.map(({ path }) => dirname(path.slice('src/'.length))))
  const elsewhere = new Set(['journeys', 'contracts', 'support', 'corpus', 'scripts', '.'])
  const lost = tests
    .map(({ path }) => path.slice('test/'.length))
    .filter((path) => !elsewhere.has(path.includes('/') ? path.slice(0, path.indexOf('/')) : '.'))
    .filter((path) => !folders.has(dirname(path)))
  t.strictSame(lost, [])
})

t.test('every fault is used, and documented as it is', async (t) => {
  const used = stringsOf(src.filter(({ path }) => path !== 'src/domain/fault.ts'))
  t.strictSame(
    Object.keys(FAULTS).filter((code) => !used.has(code)),
    [],
    'a fault nobody can cause is removed',
  )
  t.equal(readText(ROOT, 'docs/faults.md'), faultTable(), 'npm run docs writes docs/faults.md again')
})

/** Each violation is a line of its own in the report. */
function none(t: Test, violations: readonly Violation[]): void {
  if (violations.length === 0) t.pass('nothing found')
  for (const words of violations) t.fail(words)
}

t.test('each law sees the fault it is there for', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'tidy-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const broken = writeProject(root, BROKEN)
  const source = (path: string) => broken.find((one) => one.path === path)!

  const seen = [
    ...checkLayers(broken),
    ...checkDoors(broken, DOORS),
    ...checkCycles(broken),
    ...checkBans(broken),
    ...checkWords(broken),
    ...checkFileNames(broken.map(({ path }) => path)),
    ...broken.flatMap(checkHeader),
    ...broken.flatMap(checkFunctions),
    ...broken.flatMap(checkExports),
    ...broken.flatMap(checkNames),
    ...checkMirror([source('src/decide/plan.ts')], [], new Map()),
    ...broken.flatMap(({ path, text }) => checkPlaces(path, text)),
    ...checkFileSize('long.ts', '\n'.repeat(401)),
    ...checkUsualSize([{ ...source('src/decide/plan.ts'), text: '\n'.repeat(251) }]),
  ].join('\n')

  for (const { expected } of BROKEN) {
    for (const words of expected) t.ok(seen.includes(words), `${words}\n— not in —\n${seen}`)
  }
  t.match(seen, /long\.ts:401: 401 lines/)
  t.match(seen, /more than a tenth/)
})

/** Small files that break laws, and the start of what must be said about each. */
const HEADER = '/** A file that breaks a law on purpose, for a test. */\n'
const BROKEN: readonly { path: string; text: string; expected: readonly string[] }[] = [
  {
    path: 'src/decide/plan.ts',
    text: `${HEADER}import { a } from '../accept/a.ts'
import { readFileSync } from 'node:fs'
export const now = [a, readFileSync, Date.now(), new Date(), Math.random(), JSON.parse('')]
`,
    expected: [
      'src/decide/plan.ts:2: imports src/accept/a.ts: what decides',
      'src/decide/plan.ts:3: imports node:fs: what decides',
      'src/decide/plan.ts:3: imports node:fs, whose door is',
      'src/decide/plan.ts:4: Date.now: time is an argument',
      'src/decide/plan.ts:4: new Date(): time is an argument',
      'src/decide/plan.ts:4: Date: a deterministic folder',
      'src/decide/plan.ts:4: Math.random: chance is an argument',
      'src/decide/plan.ts:4: JSON.parse: it costs',
      'src/decide/plan.ts:1: no test in test/decide/ reaches it',
    ],
  },
  {
    path: 'src/accept/a.ts',
    text: `${HEADER}import zed from 'left-pad'
export { b } from './b.ts'
export const a = () => [zed, process.env.X, setTimeout(() => {}, 1), console.log(zed.terminate())]
`,
    expected: [
      'src/accept/a.ts:2: imports left-pad, which has no door',
      'src/accept/a.ts:3: passes on what another file exports',
      'src/accept/a.ts:4: process.env: what configures',
      'src/accept/a.ts:4: setTimeout: a timer per request',
      'src/accept/a.ts:4: console: only commands print',
      'src/accept/a.ts:4: .terminate: terminating a thread',
    ],
  },
  {
    path: 'src/accept/b.ts',
    text: `import { a } from './a.ts'
// ${'TO' + 'DO'} later
// ${'@ts-'}ignore
export const b: any = a
export default b
export interface IThing { a: 1 }
export type PoolManager = 1
`,
    expected: [
      'src/accept/b.ts:1: starts without a header',
      'imports itself by way of src/accept/b.ts → src/accept/a.ts',
      'src/accept/b.ts:2: TODO: unfinished work',
      'src/accept/b.ts:3: @ts-ignore: the compiler is right',
      'src/accept/b.ts:4: any: it switches',
      'src/accept/b.ts:5: a default export',
      'src/accept/b.ts:6: IThing: no prefix',
      'src/accept/b.ts:7: PoolManager: manager says nothing',
    ],
  },
  {
    path: 'src/kernel/stringHelpers.ts',
    text: `${HEADER}import '../domain/noun.ts'
export function five(req: 1, b: 1, c: 1, d: 1, e: 1) {${'\n'.repeat(61)}return [req, b, c, d, e, '${'/tm'}p/x']}
`,
    expected: [
      'src/kernel/stringHelpers.ts:1: stringHelpers.ts: names are kebab-case',
      'src/kernel/stringHelpers.ts:2: imports src/domain/noun.ts: kernel is the alphabet',
      'src/kernel/stringHelpers.ts:3: a function of 62 lines',
      'src/kernel/stringHelpers.ts:3: 5 parameters',
      'src/kernel/stringHelpers.ts:3: req: not abbreviated; say request',
      'a place of one machine',
    ],
  },
  {
    path: 'src/record/string-helpers/index.ts',
    text: `${HEADER}export const x = 1\n`,
    expected: ['index.ts:1: helpers: a drawer', 'index.ts:1: index.ts: only registries have one'],
  },
  { path: 'src/domain/noun.ts', text: HEADER, expected: [] },
  { path: 'src/nowhere.ts', text: HEADER, expected: ['src/nowhere.ts:1: no law for this place'] },
]

function writeProject(root: string, files: readonly { path: string; text: string }[]): Source[] {
  const options = {
    noLib: true,
    types: [],
    module: 'nodenext',
    noEmit: true,
    allowImportingTsExtensions: true,
  }
  writeFileSync(join(root, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['src'] }))
  for (const { path, text } of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  t.equal(readFileSync(join(root, files[0]!.path), 'utf8'), files[0]!.text)
  return readSources(root)
}
