/**
 * `npm run bench`: the gateway beside native proxies on the same work, on this machine. METHOD.md says how and what
 * the figures mean. Interrupted, it goes on where it was.
 *
 *   --only WORKS      names, separated by commas; see the list with --list
 *   --points TEXT     only points whose name contains it (`saturation`)
 *   --blocks N        paired blocks of each point (default 6)
 *   --quick           a look: 3 short blocks, no claim
 *   --against TREE    another compiled checkout takes part as `… (against)`
 *   --tree TREE       measure this compiled checkout instead of this one
 *   --nice=N          the priority of everything that takes part (negative: as root); for a machine that has other things to do
 *   --fresh           forget what an interrupted run measured
 *   --out FILE        where the results go (default build/bench.json); the chart stands beside it, `.svg`
 *   --baseline        store the results as native-bench/baseline.json and docs/bench.svg
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { atExit } from './rig/at-exit.ts'
import { writeBodies } from './rig/bodies.ts'
import { chart } from './rig/chart.ts'
import { compiledPrograms, isOnPath } from './rig/compiled.ts'
import { disturbance } from './rig/cpu-time.ts'
import { measureFresh } from './rig/fresh.ts'
import { buildHash, Kept } from './rig/kept.ts'
import { Load } from './rig/load.ts'
import { machine } from './rig/machine.ts'
import { measureWork, type Plan } from './rig/paired.ts'
import { skippedParts } from './rig/parts.ts'
import { setNiceness } from './rig/priority.ts'
import { ROOT } from './rig/rig.ts'
import { versionOf } from './rig/served.ts'
import { type Summary, summarize } from './rig/summary.ts'
import { changeTable, summaryTable, verdictTable } from './rig/table.ts'
import { compareWith, judgeTargets } from './rig/verdict.ts'
import type { Stage } from './rig/work.ts'
import { WORKS } from './works/all-works.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    points: { type: 'string', default: '' },
    blocks: { type: 'string' },
    quick: { type: 'boolean', default: false },
    against: { type: 'string' },
    tree: { type: 'string', default: ROOT },
    nice: { type: 'string', default: '0' },
    fresh: { type: 'boolean', default: false },
    out: { type: 'string', default: join(ROOT, 'build/bench.json') },
    baseline: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
})
const BASELINE = join(ROOT, 'native-bench/baseline.json')
const CHART = join(ROOT, 'docs/bench.svg')
const plan: Plan = {
  blocks: Number(values.blocks ?? (values.quick ? 3 : 6)),
  seconds: values.quick ? 0.5 : 0.8,
  warmSeconds: values.quick ? 0.2 : 0.3,
  firstSeconds: values.quick ? 2 : 4,
}

interface Stored {
  readonly points: readonly Summary[]
}

function wanted(): typeof WORKS {
  if (values.only === undefined) return WORKS
  const names = values.only.split(',')
  const unknown = names.filter((name) => !WORKS.some((work) => work.name === name))
  if (unknown.length > 0) throw new Error(`no work is called ${unknown.join(', ')}; there are ${known()}`)
  return WORKS.filter(({ name }) => names.includes(name))
}

const known = (): string => WORKS.map(({ name }) => name).join(', ')

function say(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`)
}

async function withStage<R>(work: (stage: Stage) => Promise<R>): Promise<R> {
  const programs = compiledPrograms()
  if (typeof programs === 'string') {
    console.error(`SKIPPED everything: ${programs}; \`npm run bench:quick\` needs neither`)
    process.exit(1)
  }
  const directory = mkdtempSync(join(tmpdir(), 'modelgate-bench-'))
  atExit(() => rmSync(directory, { recursive: true, force: true }))
  const socket = join(directory, 'endpoint.sock')
  writeBodies(directory)
  const [load, [FIRST = 0, SECOND = 0, SHADOW = 0]] = await Load.start(programs.load, [
    '0',
    '0',
    '0',
    `unix:${socket}`,
  ])
  const { tree, against } = values
  try {
    const places = { SOCKET: socket, BODIES: directory, MODELS: join(tree, 'models') }
    return await work({ load, programs, tree, against, values: { FIRST, SECOND, SHADOW, ...places } })
  } finally {
    await load.end()
  }
}

function key(): string {
  const trees = [values.tree, values.against ?? ''].map((tree) => (tree === '' ? '' : buildHash(tree)))
  return JSON.stringify([trees, plan])
}

/** Every work is taken down before the next begins, so that nobody idles on the measured core. */
async function measureAll(stage: Stage, kept: Kept): Promise<void> {
  for (const work of wanted()) {
    if (work.kind === 'fresh') {
      if (!kept.has(work.name, 'fresh'))
        tell(kept, await measureFresh(work, stage, { blocks: plan.blocks, say }))
      continue
    }
    await measureWork(work, stage, plan, {
      isKnown: (point) => !point.includes(values.points) || kept.has(work.name, point),
      done: (measured) => tell(kept, summarize(work, measured)),
      say,
    })
  }
}

function tell(kept: Kept, summary: Summary): void {
  kept.add(summary)
  say('')
  console.log(summaryTable(summary))
}

function peerVersions(): Readonly<Record<string, string>> {
  return {
    ...(isOnPath('nginx') ? { nginx: versionOf('nginx', '-v') } : {}),
    ...(isOnPath('haproxy') ? { haproxy: versionOf('haproxy', '-v') } : {}),
    compiler: versionOf('cc', '--version'),
  }
}

if (values.list) {
  for (const { name, title } of WORKS) console.log(`${name.padEnd(16)} ${title}`)
  process.exit(0)
}

// What is started from here on inherits it, threads included.
setNiceness(Number(values.nice))
const before = disturbance()
const kept = new Kept(join(ROOT, 'build/bench-kept.json'), key(), values.fresh)
if (kept.points.length > 0)
  console.log(`${kept.points.length} points were measured before; --fresh forgets them`)
await withStage((stage) => measureAll(stage, kept))

const result = {
  what: 'the gateway beside native proxies: CPU µs, latency µs, ratios within paired blocks',
  machine: machine(values.tree),
  build: buildHash(values.tree),
  peers: peerVersions(),
  skipped: skippedParts(),
  plan,
  nice: Number(values.nice),
  disturbance: { before, after: disturbance() },
  targets: judgeTargets(kept.points),
  points: kept.points,
}
console.log(`\n${verdictTable(result.targets)}`)
if (existsSync(BASELINE)) {
  const baseline = JSON.parse(readFileSync(BASELINE, 'utf8')) as Stored
  const changes = compareWith(baseline.points, kept.points)
  console.log(`\n${changeTable(changes)}`)
  const worse = changes.filter(({ verdict }) => verdict === 'worse').length
  console.log(
    `\n${worse === 0 ? 'nothing is worse than the baseline' : `${worse} ratios are worse than the baseline`}`,
  )
}
for (const [file, drawing] of [
  [values.out, values.out.replace(/(\.json)?$/, '.svg')],
  ...(values.baseline ? [[BASELINE, CHART]] : []),
] as [string, string][]) {
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`)
  writeFileSync(drawing, chart(kept.points))
}
console.log(`\nresults: ${values.out}`)
