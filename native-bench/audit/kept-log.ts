/**
 * What a log costs and answers once it is written: bytes at rest, checking it, finding one request in it, a report over
 * all of it. On made traffic (scripts/make-log), in a folder that is deleted afterwards; or on a log that is there, of which
 * nothing is changed but its index.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { coveredOf } from '../../src/audit/covered.ts'
import { systemDisk } from '../../src/audit/disk.ts'
import { IndexSegments } from '../../src/audit/index/index-segments.ts'
import { openSource } from '../../src/audit/index/log-source.ts'
import { SealSegments } from '../../src/audit/keeper/seal-segments.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { finding, reporting, run } from './asking.ts'
import { checking } from './checking.ts'

/** Bytes of a decision at rest, tiles included, that issue 5 allows. */
const BYTES_MAX = 120

export async function keptLog(
  { records, dataDir }: { readonly records: number; readonly dataDir?: string | undefined },
  say: (what: string) => void,
): Promise<object> {
  if (dataDir !== undefined) return measured(dataDir, say)
  const made = mkdtempSync(join(tmpdir(), 'modelgate-kept-log-'))
  try {
    say(`writing ${records} records`)
    run('scripts/make-log.js', ['--data', made, '--records', String(records), '--models', '3'])
    say('checking it, not sealed')
    const checkedUnsealed = checking(made)
    say('sealing')
    const sealing = await timed(() => {
      const job = new SealSegments({ dataDir: made, disk: systemDisk, covered: () => Infinity })
      while (job.step());
    })
    return { sealedASecond: records / sealing.seconds, checkedUnsealed, ...(await measured(made, say)) }
  } finally {
    rmSync(made, { recursive: true })
  }
}

async function measured(dataDir: string, say: (what: string) => void): Promise<object> {
  say('checking')
  const checked = checking(dataDir)
  say('indexing')
  const whole = await indexing(dataDir, 0)
  const reportBeforeParts = await reported(dataDir, say)
  await indexing(dataDir, coveredOf(dataDir))
  const records = coveredOf(dataDir)
  const bytes = (folder: string) => bytesIn(join(dataDir, folder)) / records
  const atRest = { segments: bytes('segments'), tiles: bytes('tile') }
  return {
    records,
    bytesARecord: {
      asked: BYTES_MAX,
      isReached: atRest.segments + atRest.tiles <= BYTES_MAX,
      ...atRest,
      indexBeside: bytes('index'),
    },
    indexedASecond: whole.indexed === 0 ? 'it was indexed' : records / whole.seconds,
    checked,
    findingMs: await finding(dataDir),
    report: await reported(dataDir, say),
    reportBeforeParts,
  }
}

async function indexing(dataDir: string, covered: number): Promise<{ seconds: number; indexed: number }> {
  const job = new IndexSegments(dataDir, systemClock, { covered: () => covered })
  const { seconds } = await timed(async () => {
    while (await job.step());
  })
  return { seconds, indexed: job.indexed }
}

async function reported(dataDir: string, say: (what: string) => void): Promise<object> {
  const source = await openSource(dataDir)
  source.close()
  say(`asking; ${source.recordsRead} records are not indexed`)
  return { unindexed: source.recordsRead, ...reporting(dataDir) }
}

async function timed<T>(work: () => T | Promise<T>): Promise<{ seconds: number; value: T }> {
  const begun = performance.now()
  const value = await work()
  return { seconds: (performance.now() - begun) / 1000, value }
}

function bytesIn(folder: string): number {
  let sum = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) sum += statSync(join(entry.parentPath, entry.name)).size
  return sum
}
