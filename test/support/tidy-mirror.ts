/**
 * Which test proves which source. A mirrored tree alone can be faked by a file that tests something else;
 * here a source counts as tested only when a test of its own folder reaches it.
 */
import { isInterfaceDeclaration, isTypeAliasDeclaration } from 'typescript/unstable/ast'
import { type Import, type Source, type Violation, violation } from './tidy-tree.ts'

/**
 * Only by way of test/support/ and of that folder itself, so a test of `decide/` proves a strategy and a test
 * of the pipeline does not. Files of types alone need no test: the compiler proves them.
 */
export function checkMirror(
  sources: readonly Source[],
  tests: readonly Source[],
  elsewhere: ReadonlyMap<string, string>,
): Violation[] {
  const importsOf = new Map([...sources, ...tests].map(({ path, imports }) => [path, imports]))
  const tested = new Set<string>()
  const reach = (from: readonly Import[], areas: readonly string[], seen: Set<string>): void => {
    for (const { to, isType } of from) {
      if (isType || seen.has(to) || (to.startsWith('src/') && !areas.includes(areaOf(to)))) continue
      seen.add(to)
      tested.add(to)
      reach(importsOf.get(to) ?? [], areas, seen)
    }
  }
  for (const { path, imports } of tests.filter(({ path }) => path.endsWith('.test.ts'))) {
    reach(imports, PROVES.get(areaOf(path)) ?? [areaOf(path)], new Set())
  }
  return sources
    .filter(({ path, tree }) => !tested.has(path) && !isOnlyTypes(tree) && !isExcused(path, elsewhere))
    .map(({ path }) => {
      const words = `no test in test/${areaOf(path)} reaches it: test it there, or say in PROVED_ELSEWHERE what proves it`
      return violation(path, 1, words)
    })
}

/** Which folders the tests of a folder prove, where it is not their own alone. */
const PROVES = new Map([
  ['contracts/', ['protocols/', 'decide/', 'workers/']],
  // score/ is the lane's side of workers/: its tests run real models on the real pool.
  ['score/', ['score/', 'workers/']],
])

/**
 * `decide/` of src/decide/strategies/pin.ts and of its tests; `journeys/` of the pipeline and what composes it:
 * the files of src/ and of src/control/ themselves, and passage/.
 */
function areaOf(path: string): string {
  const [, area = '', ...rest] = path.split('/')
  const wires = rest.length === 0 || area === 'passage' || (area === 'control' && rest.length === 1)
  return wires && !path.startsWith('test/control') ? 'journeys/' : `${area}/`
}

function isOnlyTypes(tree: Source['tree']): boolean {
  return tree.statements.every(
    (statement) =>
      isInterfaceDeclaration(statement) ||
      isTypeAliasDeclaration(statement) ||
      /^(import|export) type\b/.test(statement.getText(tree)),
  )
}

function isExcused(path: string, elsewhere: ReadonlyMap<string, string>): boolean {
  return [...elsewhere.keys()].some((prefix) => path.startsWith(`src/${prefix}`))
}
