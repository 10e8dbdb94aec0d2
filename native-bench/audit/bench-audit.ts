/**
 * What the log costs: a section for each of its promises, printed as one JSON document; `--out FILE` keeps it. How it is
 * measured is told in METHOD.md. What disturbs the machine is told with the numbers: of a machine that has other work
 * they are no verdict.
 */
import { parseArgs } from 'node:util'
import { compiledPrograms, type Programs } from '../rig/compiled.ts'
import { disturbance } from '../rig/cpu-time.ts'
import { Load } from '../rig/load.ts'
import { machine } from '../rig/machine.ts'
import { type Measured, measureWork, type Plan } from '../rig/paired.ts'
import { setNiceness } from '../rig/priority.ts'
import { ROOT, report } from '../rig/rig.ts'
import { keptLog } from './kept-log.ts'
import { MODES_WORKS, modesTold } from './modes.ts'

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '1.5' },
    only: { type: 'string' },
    tree: { type: 'string', default: ROOT },
    nice: { type: 'string', default: '0' },
    records: { type: 'string', default: '10000000' },
    data: { type: 'string' },
    out: { type: 'string' },
  },
})
setNiceness(Number(values.nice))
const plan: Plan = {
  blocks: Number(values.blocks),
  seconds: Number(values.seconds),
  warmSeconds: 0.3,
  firstSeconds: 4,
}
const say = (what: string): void => console.error(what)

async function modes(programs: Programs): Promise<object> {
  const [load, ports] = await Load.start(programs.load, ['0'])
  const stage = { load, programs, values: { FIRST: ports[0]! }, tree: values.tree, against: undefined }
  const told: object[] = []
  try {
    for (const work of MODES_WORKS) {
      const done = (measured: Measured) => told.push(modesTold(measured, work.name))
      await measureWork(work, stage, plan, { isKnown: () => false, done, say })
    }
    return told
  } finally {
    await load.end()
  }
}

const SECTIONS: ReadonlyMap<string, (programs: Programs) => Promise<object>> = new Map([
  ['modes', modes],
  ['kept', () => keptLog({ records: Number(values.records), dataDir: values.data }, say)],
])

const programs = compiledPrograms()
if (typeof programs === 'string') {
  console.error(`npm run bench:audit: ${programs}`)
  process.exit(3)
}
const wanted = values.only === undefined ? [...SECTIONS.keys()] : values.only.split(',')
const unknown = wanted.filter((name) => !SECTIONS.has(name))
if (unknown.length > 0) {
  console.error(
    `npm run bench:audit: no section ${unknown.join(', ')}; there are ${[...SECTIONS.keys()].join(', ')}`,
  )
  process.exit(2)
}
const before = disturbance()
const sections: [string, object][] = []
for (const name of wanted) sections.push([name, await SECTIONS.get(name)!(programs)])
report(
  {
    what: 'what the log costs',
    machine: machine(ROOT),
    method: { ...plan, niceness: Number(values.nice) },
    disturbance: { before, after: disturbance() },
    ...Object.fromEntries(sections),
  },
  values.out,
)
