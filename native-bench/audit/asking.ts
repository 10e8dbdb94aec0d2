/** How long answers from a log take: one request found in it, and reports over all of it. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { findDecision } from '../../src/audit/find.ts'
import { openAnalysis } from '../../src/audit/index/analysis.ts'
import { listSegments } from '../../src/audit/paths.ts'
import { ROOT } from '../rig/rig.ts'

const IDS_ASKED = 1000
/** Of a command; the quickest counts, because nothing makes one quicker than it is. */
const RUNS = 3
/** What issue 5 asks for. */
const FINDING_MS_MAX = 10
const REPORT_SECONDS_MAX = 5

export interface Took {
  readonly first: number
  readonly p50: number
  readonly p99: number
}

/** Ids of one part of the log, in an order of their own. */
async function idsOf(dataDir: string, where: string): Promise<string[]> {
  const log = await openAnalysis(dataDir, { columns: { decisions: ['seq', 'id'] } })
  try {
    const rows = await log.rows(
      `SELECT id FROM (SELECT id FROM decisions WHERE ${where}) USING SAMPLE reservoir(${IDS_ASKED} ROWS) REPEATABLE (1)`,
    )
    return rows.map(({ id }) => String(id)).sort((a, b) => (a.slice(-6) < b.slice(-6) ? -1 : 1))
  } finally {
    log.close()
  }
}

/** In this process, as the admin API does. `first` is what the first question of a process pays. */
async function findingMs(dataDir: string, ids: readonly string[]): Promise<Took> {
  const took: number[] = []
  for (const id of ids) {
    const begun = performance.now()
    const story = await findDecision(dataDir, id)
    took.push(performance.now() - begun)
    if (story?.decision?.decision.id !== id) throw new Error(`${id} was not found`)
  }
  const [first = Number.NaN] = took
  took.sort((a, b) => a - b)
  const at = (share: number) => took[Math.min(took.length - 1, Math.floor(took.length * share))]!
  return { first, p50: at(0.5), p99: at(0.99) }
}

/** Ids of sealed segments, and of the one that is being written. */
export async function finding(dataDir: string): Promise<object> {
  const newest = listSegments(dataDir).at(-1)!.first
  const [sealed, open] = [await idsOf(dataDir, `seq < ${newest}`), await idsOf(dataDir, `seq >= ${newest}`)]
  const told = { sealed: await findingMs(dataDir, sealed), open: await findingMs(dataDir, open) }
  const command = quickest(() => run('src/main.js', ['explain', sealed[0]!, '--data', dataDir]))
  return {
    asked: { p99: FINDING_MS_MAX },
    isReached: told.sealed.p99 <= FINDING_MS_MAX && told.open.p99 <= FINDING_MS_MAX,
    ...told,
    wholeCommand: command * 1000,
  }
}

/** As a user types it, over all there is. */
export function reporting(dataDir: string): object {
  const asked = ['audit', 'report', '--data', dataDir, '--model', 'fraud']
  const range = ['--from', '2000-01-01', '--to', '2100-01-01']
  const seconds = Object.fromEntries(
    ['text', 'html', 'json'].map((format) => [
      format,
      quickest(() => run('src/main.js', [...asked, ...range, '--format', format])),
    ]),
  )
  const isReached = Object.values(seconds).every((took) => took <= REPORT_SECONDS_MAX)
  return { asked: { seconds: REPORT_SECONDS_MAX }, isReached, seconds }
}

/** Seconds. */
function quickest(work: () => void): number {
  const took: number[] = []
  for (let at = 0; at < RUNS; at += 1) {
    const begun = performance.now()
    work()
    took.push((performance.now() - begun) / 1000)
  }
  return Math.min(...took)
}

export function run(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'build', program), ...args], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`)
}
