/**
 * `npm run fuzz` runs a bounded round of every campaign, `npm run fuzz -- CAMPAIGN` one of them for as long as
 * wanted. The same seed gives the same cases; without one, each run has new ones and says which. Exit code 1 when
 * a law was broken or a case hangs; each finding is printed so that it can be kept in test/corpus.
 *
 * Every run ends: a campaign runs in a process of its own, which is watched from here (supervise.ts).
 */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { CAMPAIGNS } from './campaigns.ts'
import { supervise } from './supervise.ts'

const HELP = `usage: npm run fuzz                                   a bounded round of every campaign
       npm run fuzz -- CAMPAIGN [options]            one campaign

campaigns:
${[...CAMPAIGNS].map(([name, { about, cases }]) => `  ${name.padEnd(16)} ${about} (${cases} cases)`).join('\n')}

options:
  --cases N         how many cases
  --seed S          which cases; a random seed is taken, and printed, when none is given
  --minutes M       begin no case after so many minutes (default: 30; 2 for each campaign of a round)
  --help            this text

Case n of a run of "requests" is --cases 1 --seed (S + n). Exit code: 0 when every law held, 1 when not or when a
case hangs, 2 for a wrong command line.`

const SEED_MAX = 1_000_000_000

function commandLine() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        cases: { type: 'string' },
        seed: { type: 'string', default: String(randomInt(SEED_MAX)) },
        minutes: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const isRound = positionals.length === 0
    const minutes = Number(values.minutes ?? (isRound ? 2 : 30))
    const seed = Number(values.seed)
    const cases = values.cases === undefined ? null : Number(values.cases)
    const names = isRound ? [...CAMPAIGNS.keys()] : positionals
    const isRight =
      names.length <= CAMPAIGNS.size &&
      names.every((name) => CAMPAIGNS.has(name)) &&
      (cases === null || (Number.isSafeInteger(cases) && cases > 0)) &&
      Number.isSafeInteger(seed) &&
      minutes > 0
    return { isHelp: values.help, isRight, names, cases, seed, minutes }
  } catch {
    return { isHelp: false, isRight: false, names: [], cases: null, seed: 0, minutes: 0 }
  }
}

const { isHelp, isRight, names, cases, seed, minutes } = commandLine()
if (isHelp) console.log(HELP)
else if (!isRight) {
  console.error(HELP)
  process.exitCode = 2
} else {
  for (const name of names) {
    const held = await supervise({ name, cases: cases ?? CAMPAIGNS.get(name)!.cases, seed, minutes })
    if (!held) process.exitCode = 1
  }
}
