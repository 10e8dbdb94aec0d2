/**
 * `modelgate audit verify` as somebody types it: records a second of processor time, less what its start takes, and the
 * largest resident set.
 */
import { commandCosts } from '../rig/command-costs.ts'

const RECORDS_A_SECOND_MIN = 200_000
const RSS_MIB_MAX = 64
/** The figure is that of the fastest: whatever else the machine does can only take from it. */
const RUNS = 3

export interface Checking {
  readonly asked: { readonly recordsASecond: number; readonly maxRssMiB: number }
  readonly isReached: boolean
  readonly recordsASecond: number
  readonly maxRssMiB: number
}

/** Of a whole log; each run leaves a note in its inbox, as every check does. Throws when it is not whole. */
export function checking(dataDir: string): Checking {
  const start = Math.min(...times(() => commandCosts(['audit', 'verify', '--help']).cpuSeconds))
  const runs = times(() => {
    const costs = commandCosts(['audit', 'verify', '--json', '--data', dataDir])
    const { isWhole, records } = JSON.parse(costs.stdout) as { isWhole: boolean; records: number }
    if (costs.status !== 0 || !isWhole) throw new Error('the log is not whole')
    return { recordsASecond: records / (costs.cpuSeconds - start), maxRssMiB: costs.maxRssMiB }
  })
  const recordsASecond = Math.max(...runs.map((run) => run.recordsASecond))
  const maxRssMiB = Math.max(...runs.map((run) => run.maxRssMiB))
  return {
    asked: { recordsASecond: RECORDS_A_SECOND_MIN, maxRssMiB: RSS_MIB_MAX },
    isReached: recordsASecond >= RECORDS_A_SECOND_MIN && maxRssMiB <= RSS_MIB_MAX,
    recordsASecond,
    maxRssMiB,
  }
}

function times<T>(measure: () => T): T[] {
  return Array.from({ length: RUNS }, measure)
}
