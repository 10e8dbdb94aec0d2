/** Whatever is done to a log's files, whoever checks it finds out. A long campaign: `npm run mutate`. */
import { mkdirSync } from 'node:fs'
import t from 'tap'
import { SeededChance } from '../../../native-bench/simulate/seeded-chance.ts'
import { writeMadeLog } from '../../../scripts/make-log/write-log.ts'
import { verifyLog } from '../../../src/audit/verify/verify-log.ts'
import { newFolder } from '../new-folder.ts'
import { mutate } from './mutations.ts'

const RUNS = Number(process.env.MUTATIONS ?? 2000)
const SEED = Number(process.env.MUTATION_SEED ?? 1)

t.test(`each of ${RUNS} single mutations of a log is found`, { timeout: 0 }, (t) => {
  const dataDir = newFolder()
  mkdirSync(dataDir, { recursive: true })
  // Three tiles and a part of one, several segments, several runs.
  writeMadeLog(dataDir, { records: 280, days: 4, models: 2, segmentBytesMax: 32 * 1024 })
  const chance = new SeededChance(SEED)
  const isSound = () => verifyLog(dataDir).isWhole
  t.ok(isSound(), 'before')
  const unfound: string[] = []
  for (let done = 0; done < RUNS; ) {
    const mutation = mutate(dataDir, chance)
    if (mutation === null) continue
    done += 1
    if (isSound()) unfound.push(mutation.words)
    mutation.undo()
  }
  t.same(unfound, [])
  t.ok(isSound(), 'each was undone')
  t.end()
})
