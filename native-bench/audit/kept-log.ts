/**
 * What a log costs and answers once it is written: bytes at rest, checking it, finding one request in it, a report over
 * all of it. On made traffic (scripts/make-log), in a folder that is deleted afterwards.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemDisk } from '../../src/audit/disk.ts'
import { findDecision } from '../../src/audit/find.ts'
import { IndexSegments } from '../../src/audit/index/index-segments.ts'
import { SealSegments } from '../../src/audit/keeper/seal-segments.ts'
import { readLog } from '../../src/audit/read.ts'
import { verifyLog } from '../../src/audit/verify/verify-log.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { ROOT } from '../rig/rig.ts'

const IDS_ASKED = 300

export async function keptLog(records: number, say: (what: string) => void): Promise<object> {
  const dataDir = mkdtempSync(join(tmpdir(), 'modelgate-kept-log-'))
  try {
    say(`writing ${records} records`)
    run('scripts/make-log.js', ['--data', dataDir, '--records', String(records), '--models', '3'])
    say('sealing, indexing')
    const sealing = await timed(() => {
      const job = new SealSegments({ dataDir, disk: systemDisk, covered: () => Infinity })
      while (job.step());
    })
    const index = new IndexSegments(dataDir, systemClock)
    const indexing = await timed(async () => {
      while (await index.step());
    })
    say('checking')
    const checking = await timed(() => verifyLog(dataDir))
    if (!checking.value.isWhole) throw new Error('the log is not whole')
    say('asking')
    const finding = await findingMs(dataDir, records)
    const [from, to] = ['2000-01-01', '2100-01-01']
    const asked = ['audit', 'report', '--data', dataDir, '--model', 'fraud', '--from', from, '--to', to]
    const reporting = await timed(() => run('src/main.js', asked))
    const bytes = (folder: string) => bytesIn(join(dataDir, folder)) / records
    return {
      records,
      bytesARecord: { segments: bytes('segments'), tiles: bytes('tile'), index: bytes('index') },
      sealedASecond: records / sealing.seconds,
      indexedASecond: records / indexing.seconds,
      checkedASecond: records / checking.seconds,
      findingMs: finding,
      reportSeconds: reporting.seconds,
    }
  } finally {
    rmSync(dataDir, { recursive: true })
  }
}

/** In this process, as the admin API does: ids from all over the log, in an order of their own. */
async function findingMs(dataDir: string, records: number): Promise<{ p50: number; p99: number }> {
  const every = Math.max(1, Math.floor(records / IDS_ASKED))
  const ids: string[] = []
  let seen = 0
  for await (const record of readLog(dataDir)) {
    seen += 1
    if (record.type === 'decision' && seen >= ids.length * every) ids.push(record.decision.id)
  }
  ids.sort((a, b) => (a.slice(-6) < b.slice(-6) ? -1 : 1))
  const took: number[] = []
  for (const id of ids) {
    const { seconds, value } = await timed(() => findDecision(dataDir, id))
    if (value === null) throw new Error(`${id} was not found`)
    took.push(seconds * 1000)
  }
  took.sort((a, b) => a - b)
  const at = (share: number) => took[Math.min(took.length - 1, Math.floor(took.length * share))]!
  return { p50: at(0.5), p99: at(0.99) }
}

async function timed<T>(work: () => T | Promise<T>): Promise<{ seconds: number; value: T }> {
  const begun = performance.now()
  const value = await work()
  return { seconds: (performance.now() - begun) / 1000, value }
}

function run(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'build', program), ...args], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`)
}

function bytesIn(folder: string): number {
  let sum = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) sum += statSync(join(entry.parentPath, entry.name)).size
  return sum
}
