/** Whatever is done to a log's files, whoever checks it finds out. A long campaign: `npm run mutate`. */
import { mkdirSync } from 'node:fs'
import t from 'tap'
import { SeededChance } from '../../../native-bench/simulate/seeded-chance.ts'
import { writeMadeLog } from '../../../scripts/make-log/write-log.ts'
import { verifyLog } from '../../../src/audit/verify/verify-log.ts'
import { newFolder } from '../new-folder.ts'
import { mutate } from './mutations.ts'
import { sealSegments } from './sealed-mutations.ts'

const RUNS = Number(process.env.MUTATIONS ?? 2000)
const SEED = Number(process.env.MUTATION_SEED ?? 1)
/** In a long campaign it is told how far it is after so many. */
const TOLD_EVERY = 1000
const TOLD_FROM = 10_000

/** How many of its segments are sealed, of each log. */
const SHARES = [0, 0.5, 1]

/** Three tiles and a part of one, several segments, several runs. */
function writeLog(share: number): string {
  const dataDir = newFolder()
  mkdirSync(dataDir, { recursive: true })
  writeMadeLog(dataDir, { records: 280, days: 4, models: 2, segmentBytesMax: 32 * 1024 })
  sealSegments(dataDir, share)
  return dataDir
}

t.test(`each of ${RUNS} single mutations of a log is found, sealed or not`, { timeout: 0 }, (t) => {
  const logs = SHARES.map(writeLog)
  const chance = new SeededChance(SEED)
  const isSound = (dataDir: string) => verifyLog(dataDir).isWhole
  t.ok(logs.every(isSound), 'before')
  const begun = performance.now()
  const unfound: string[] = []
  for (let done = 0; done < RUNS; ) {
    const log = done % SHARES.length
    const mutation = mutate(logs[log]!, chance)
    if (mutation === null) continue
    done += 1
    if (isSound(logs[log]!)) unfound.push(`${mutation.words} (${SHARES[log]! * 100} % sealed)`)
    mutation.undo()
    if (RUNS > TOLD_FROM && done % TOLD_EVERY === 0) tell(done, unfound.length, begun)
  }
  t.same(unfound, [])
  t.ok(logs.every(isSound), 'each was undone')
  t.end()
})

function tell(done: number, unfound: number, begun: number): void {
  const seconds = (performance.now() - begun) / 1000
  const left = Math.round((seconds / done) * (RUNS - done))
  process.stderr.write(`${done} of ${RUNS} mutations, ${unfound} not found; ${left} s to go\n`)
}
