/**
 * `npm run fuzz -- CAMPAIGN [--cases N] [--seed S]`: runs one long campaign and prints what it saw. The
 * same seed gives the same cases. Exit code 1 when a law was broken; each finding is printed so that it
 * can be kept in test/corpus. The bounded samples of the same campaigns run with `npm test`.
 */
import { parseArgs } from 'node:util'
import { answers } from './answers.ts'
import { gatewayAnswers } from './answers-through-gateway.ts'
import type { Campaign } from './campaign.ts'
import { requests } from './requests.ts'

const CAMPAIGNS: ReadonlyMap<string, Campaign> = new Map([
  ['answers', answers],
  ['gateway-answers', gatewayAnswers],
  ['requests', requests],
])

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { cases: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' } },
})
const campaign = CAMPAIGNS.get(positionals[0] ?? '')
const cases = Number(values.cases)
const seed = Number(values.seed)
if (campaign === undefined || !Number.isSafeInteger(cases) || !Number.isSafeInteger(seed)) {
  console.error(`usage: npm run fuzz -- ${[...CAMPAIGNS.keys()].join('|')} [--cases N] [--seed S]`)
  process.exit(2)
}

const startedAt = performance.now()
const report = await campaign({ cases, seed, print: (line) => console.log(line) })
const seconds = (performance.now() - startedAt) / 1_000
for (const [title, counts] of Object.entries(report.tables)) {
  console.log(`\n${title}`)
  for (const [what, count] of [...counts].sort((left, right) => right[1] - left[1])) {
    console.log(`${String(count).padStart(10)}  ${what}`)
  }
}
console.log(
  `\n${report.done} cases from seed ${seed} in ${seconds.toFixed(1)} s on Node ${process.versions.node}`,
)
for (const finding of report.findings) console.log(`\n${finding}`)
console.log(`${report.findings.length} findings`)
process.exitCode = report.findings.length === 0 ? 0 : 1
