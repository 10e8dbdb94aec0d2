/**
 * `npm run simulate`: every strategy meets every profile, in simulated time, with the gateway's own rules. Same seed, same
 * table. `--readme` writes it into native-bench/README.md, between its marks.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { PROFILES } from './profiles.ts'
import { type Outcome, simulate } from './simulation.ts'
import { STRATEGIES } from './strategies.ts'
import { tableOf } from './table.ts'

const README = 'native-bench/README.md'
const BEGIN = '<!-- simulate -->'
const END = '<!-- /simulate -->'

const { values } = parseArgs({
  options: {
    utilisation: { type: 'string', default: '0.3,0.7' },
    requests: { type: 'string', default: '30000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    readme: { type: 'boolean', default: false },
  },
})

const [requests, seed] = [Number(values.requests), Number(values.seed)]
const utilisations = values.utilisation.split(',').map(Number)
if (![requests, ...utilisations].every((one) => one > 0) || !Number.isInteger(seed)) {
  console.error('usage: simulate [--utilisation 0.3,0.7] [--requests N] [--seed N] [--json] [--readme]')
  process.exit(2)
}

const all: Outcome[] = []
for (const utilisation of utilisations) {
  const outcomes = PROFILES.flatMap((profile) =>
    STRATEGIES.map((strategy) => simulate({ strategy, profile, utilisation, requests, seed })),
  )
  all.push(...outcomes)
  if (!values.json) console.log(`${titleOf(utilisation)}\n\n${tableOf(outcomes)}\n`)
}
if (values.json) console.log(JSON.stringify(all, null, 2))
if (values.readme) {
  const text = readFileSync(README, 'utf8')
  const [before, rest] = [text.slice(0, text.indexOf(BEGIN) + BEGIN.length), text.slice(text.indexOf(END))]
  const last = utilisations.at(-1)!
  const table = tableOf(all.filter(({ utilisation }) => utilisation === last))
  writeFileSync(README, `${before}\n\n${titleOf(last)}\n\n${table}\n\n${rest}`)
}

function titleOf(utilisation: number): string {
  return `Utilisation ${utilisation}, ${requests} requests a row, seed ${seed}:`
}
