/** A log that may not be opened is set aside and a new one begins; and another key takes over. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { askForRotation } from '../../src/audit/identity.ts'
import { LaneJournal } from '../../src/audit/lane-journal.ts'
import { type AuditWriter, openAudit } from '../../src/audit/open-audit.ts'
import { listSegments } from '../../src/audit/paths.ts'
import { readLog } from '../../src/audit/read.ts'
import { problemOf } from '../../src/audit/repair.ts'
import { openCheckpoint } from '../../src/audit/tree/checkpoint.ts'
import { formatVerifierKey, parseVerifierKeys } from '../../src/audit/tree/note.ts'
import { audit } from '../../src/cli/audit.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { eventually } from '../support/eventually.ts'
import { allRecords, decisionIds, openBenchLog } from './bench-log.ts'
import { newFolder } from './new-folder.ts'
import { sampleDecision, sampleInputs } from './samples.ts'

async function opened(dataDir: string): Promise<AuditWriter> {
  const result = await openAudit({ dataDir, lanes: 1, clock: systemClock })
  if ('kind' in result) throw new Error(result.message)
  return result.audit
}

async function recorded(dataDir: string, count: number): Promise<void> {
  const log = await opened(dataDir)
  const lane = new LaneJournal(log.laneParts(0), systemClock)
  for (let index = 0; index < count; index += 1) lane.decision(sampleDecision(), sampleInputs, () => {})
  lane.close()
  await log.close()
}

async function run(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: string[][] = [[], []]
  const io = {
    stdout: (text: string) => void out!.push(text),
    stderr: (text: string) => void err!.push(text),
    color: false,
  }
  return { code: await audit(args, io), out: out!.join(''), err: err!.join('') }
}

const checkpointOf = (dataDir: string) => {
  const keys = parseVerifierKeys(readFileSync(join(dataDir, 'keys/log.vkey'), 'utf8'))
  if (typeof keys === 'string') throw new Error(keys)
  const checkpoint = openCheckpoint(readFileSync(join(dataDir, 'checkpoint'), 'utf8'), keys)
  if (typeof checkpoint === 'string') throw new Error(checkpoint)
  return checkpoint
}

t.test('a log with damage that a checkpoint covers is set aside, and its successor says so', async (t) => {
  const dataDir = newFolder()
  await recorded(dataDir, 20)
  t.match(await run('repair', '--data', dataDir), { code: 0, out: /nothing to repair/ })
  const before = checkpointOf(dataDir)
  const { path } = listSegments(dataDir)[0]!
  const bytes = readFileSync(path)
  bytes[Math.floor(bytes.length / 2)]! ^= 1
  writeFileSync(path, bytes)
  const refused = await openAudit({ dataDir, lanes: 1, clock: systemClock })
  t.match(refused, {
    kind: 'audit-problem',
    message:
      /segments\/000000000000\.seg, byte \d+, sequence \d+.*nothing was changed.*repair --acknowledge-loss/,
  })
  t.match(await run('repair', '--data', dataDir), {
    code: 1,
    out: /cannot be opened: segments.*Nothing was changed/s,
  })
  const told = await run('repair', '--data', dataDir, '--acknowledge-loss', '--why', 'a disk died')
  t.match(told, { code: 0, out: /epochs\/1/ })
  t.strictSame(readFileSync(join(dataDir, 'epochs/1/segments/000000000000.seg')), bytes, 'evidence')
  await recorded(dataDir, 3)
  const after = checkpointOf(dataDir)
  t.equal(after.origin, before.origin.replace(/1$/, '2'))
  t.not(after.signedBy[0]!.id, before.signedBy[0]!.id)
  const records = []
  for await (const record of readLog(dataDir))
    if (record.place.file.startsWith('segments')) records.push(record)
  t.match(records.slice(0, 2), [
    { type: 'key', note: { from: '', origin: after.origin } },
    {
      type: 'recovery',
      note: { acknowledged: { words: 'a disk died', origin: before.origin, problem: /sequence/ } },
    },
  ])
  t.match(JSON.stringify(records[1]), before.root.toString('base64'), 'and what its last checkpoint was')
  await recorded(dataDir, 1)
  t.equal(problemOf(dataDir), null)
})

t.test('beside a running gateway nothing is set aside', async (t) => {
  const dataDir = newFolder()
  const log = await opened(dataDir)
  t.match(await run('repair', '--data', dataDir, '--acknowledge-loss'), { code: 3, err: /./ })
  await log.close()
  t.notOk(existsSync(join(dataDir, 'epochs')))
})

t.test('another key takes over while the log is written, and both sign for it', async (t) => {
  const dataDir = newFolder()
  await recorded(dataDir, 2)
  const [first] = checkpointOf(dataDir).signedBy
  const log = await opened(dataDir)
  const asked = await run('rotate-key', '--data', dataDir, '--json')
  t.equal(asked.code, 0)
  const { key } = JSON.parse(asked.out) as { key: string }
  t.equal(formatVerifierKey(askForRotation(dataDir, log.origin)), key, 'asking again changes nothing')
  log.event('stop', { at: systemClock.wall(), cause: 'something to sign', abandoned: 0 })
  await eventually(() => checkpointOf(dataDir).signedBy[0]!.id !== first!.id, { until: 'the new key signs' })
  await log.close()
  t.equal(formatVerifierKey(checkpointOf(dataDir).signedBy[0]!), key)
  const records = []
  for await (const record of readLog(dataDir)) if (record.type === 'key') records.push(record)
  t.match(records, [{ note: { from: '' } }, { note: { from: formatVerifierKey(first!), to: key } }])
  t.notOk(existsSync(join(dataDir, 'keys/next.key')))
  for (const file of ['keys/signing.key', 'keys/digest.key'])
    t.equal(statSync(join(dataDir, file)).mode & 0o777, 0o600, file)
  await recorded(dataDir, 1)
  t.equal(formatVerifierKey(checkpointOf(dataDir).signedBy[0]!), key)
})

t.test('a file that is no key takes nothing over, and is told about', async (t) => {
  const dataDir = newFolder()
  await recorded(dataDir, 1)
  writeFileSync(join(dataDir, 'keys/next.key'), 'no key')
  const told: string[] = []
  const result = await openAudit({ dataDir, lanes: 1, clock: systemClock, warn: (words) => told.push(words) })
  if ('kind' in result) throw new Error(result.message)
  result.audit.event('stop', { at: systemClock.wall(), cause: 'something to sign', abandoned: 0 })
  await eventually(() => told.length > 0, { until: 'the operator is told' })
  await result.audit.close()
  t.match(told, [/was not changed.*next\.key should hold a private key/])
  t.equal(checkpointOf(dataDir).size, 3)
})

t.test('what a run that died left in its journals is not in the new log a second time', async (t) => {
  const before = openBenchLog()
  const ids: string[] = []
  const record = (count: number) => {
    for (let index = 0; index < count; index += 1) {
      const decision = sampleDecision()
      ids.push(decision.id)
      before.lanes[0]!.decision(decision, sampleInputs, () => {})
    }
    before.lanes[0]!.flush()
  }
  record(6)
  before.writer.round()
  before.clock.advance(1000)
  before.writer.round()
  record(2)
  before.lanes[0]!.close()
  const { dataDir } = before
  const { path } = listSegments(dataDir)[0]!
  const bytes = readFileSync(path)
  bytes[100]! ^= 1
  writeFileSync(path, bytes)
  t.equal((await run('repair', '--data', dataDir, '--acknowledge-loss')).code, 0)
  const log = openBenchLog({ dataDir })
  log.lanes[0]!.close()
  t.match(log.recovery, { known: 6, replayed: 2, missing: 0 })
  t.strictSame(decisionIds(await allRecords(dataDir)), ids, 'of both epochs together, each once')
})
