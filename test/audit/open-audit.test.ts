/** The log in real processes and threads: kill -9, a full disk, a second process, a clean close, a lost thread. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { findDecision } from '../../src/audit/find.ts'
import { LaneJournal } from '../../src/audit/lane-journal.ts'
import { takeLock } from '../../src/audit/lock.ts'
import { type AuditWriter, openAudit } from '../../src/audit/open-audit.ts'
import { journalsOf, LOCK_FILE } from '../../src/audit/paths.ts'
import { verifyLog } from '../../src/audit/verify/verify-log.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { eventually } from '../support/eventually.ts'
import { allRecords, decisionIds } from './bench-log.ts'
import { newFolder } from './new-folder.ts'
import { sampleDecision, sampleInputs } from './samples.ts'

const PROGRAM = fileURLToPath(new URL('./recording-process.js', import.meta.url))

function printed(child: ChildProcess): { lines: () => string[]; ended: Promise<unknown> } {
  let text = ''
  child.stdout!.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  // A line the kill cut off was never a complete acknowledgement.
  const lines = () =>
    text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter(Boolean)
  return { lines, ended: new Promise((resolve) => child.once('close', resolve)) }
}

const isId = (line: string) => /^[0-9a-f-]{36}$/.test(line)

async function opened(dataDir: string): Promise<AuditWriter> {
  const result = await openAudit({ dataDir, lanes: 1, clock: systemClock })
  if ('kind' in result) throw new Error(result.message)
  return result.audit
}

t.test('kill -9 at any moment: every acknowledged record is in the log exactly once', async (t) => {
  const dataDir = newFolder()
  const acknowledged = new Set<string>()
  for (let round = 0; round < 4; round += 1) {
    const child = spawn(process.execPath, [PROGRAM, dataDir, '2', String(1 + round * 6)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const { lines, ended } = printed(child)
    while (!lines().some(isId)) await sleep(5)
    await sleep(Math.random() * 150)
    child.kill('SIGKILL')
    await ended
    for (const line of lines().filter(isId)) acknowledged.add(line)
  }
  await (await opened(dataDir)).close()
  t.ok(acknowledged.size > 30, `${acknowledged.size} acknowledged over 4 kills`)
  const verdict = verifyLog(dataDir)
  t.ok(verdict.isWhole, JSON.stringify(verdict.firstBad))
  t.equal(verdict.tailBytes, 0)
  t.equal(verdict.last - verdict.first + 1, verdict.records)
  const times = new Map<string, number>()
  for (const id of decisionIds(await allRecords(dataDir))) times.set(id, (times.get(id) ?? 0) + 1)
  t.strictSame(
    [...acknowledged].filter((id) => times.get(id) !== 1),
    [],
  )
  t.strictSame(
    [...times.values()].filter((count) => count !== 1),
    [],
  )
  t.equal(readdirSync(journalsOf(dataDir)).length, 0)
})

t.test(
  'a full disk answers no, loses nothing it said yes to, and recovers within 5 s of having room',
  async (t) => {
    const mount = newFolder()
    const inside = `mount -t tmpfs -o size=3m none ${mount} && head -c 2000000 /dev/zero > ${mount}/ballast && `
    const trial = spawnSync('unshare', ['-rm', 'sh', '-c', `${inside}true`])
    if (trial.status !== 0) {
      t.comment('SKIPPED: this system lets nobody mount a small tmpfs, so the full disk is only simulated')
      return
    }
    // Reads its own copy of the log inside the namespace, because nobody outside sees the mount.
    const copy = newFolder()
    const out = join(copy, 'said')
    // Looks every 0.1 s, so that a busy machine has the time it needs and the limit of 5 s is still one.
    const until = (condition: string, tries: number) =>
      `n=0; until ${condition} || [ $n -ge ${tries} ]; do n=$((n + 1)); sleep 0.1; done`
    const program = [
      `${process.execPath} ${PROGRAM} ${mount}/data 1 40 > ${out} & pid=$!`,
      until(`grep -q unavailable ${out}`, 300),
      `rm ${mount}/ballast`,
      until(`[ "$(tail -n 1 ${out})" != unavailable ]`, 50),
      'sleep 0.5; kill -9 $pid; wait $pid',
      `cp -r ${mount}/data ${copy}/`,
    ].join('; ')
    const child = spawn('unshare', ['-rm', 'sh', '-c', `${inside}${program}`], { stdio: 'ignore' })
    await once(child, 'exit')
    const text = readFileSync(out, 'utf8')
    // A line the kill cut off was never a complete acknowledgement.
    const said = text.slice(0, text.lastIndexOf('\n')).split('\n')
    const firstNo = said.indexOf('unavailable')
    t.ok(firstNo > 0, 'the disk filled up')
    t.ok(said.slice(firstNo).some(isId), 'and records were taken again after it had room')
    const dataDir = join(copy, 'data')
    await (await opened(dataDir)).close()
    const found = new Set(decisionIds(await allRecords(dataDir)))
    t.strictSame(
      said.filter((line) => isId(line) && !found.has(line)),
      [],
    )
    t.ok(verifyLog(dataDir).isWhole)
    const losses = (await allRecords(dataDir)).filter(({ type }) => type === 'gap')
    t.ok(losses.length > 0, 'what was refused is counted in the log')
  },
)

t.test('a second process on the same directory is refused and told who has it', async (t) => {
  const dataDir = newFolder()
  const audit = await opened(dataDir)
  t.match(
    await openAudit({ dataDir, lanes: 1, clock: systemClock }),
    { message: /is writing this log/ },
    'nor this process twice',
  )
  const second = spawnSync(process.execPath, [PROGRAM, dataDir, '1', '1', '1'])
  t.match(second.stdout.toString(), new RegExp(`problem process ${process.pid} .*is writing this log`))
  t.equal(second.status, 3)
  await audit.close()
  t.notOk(existsSync(join(dataDir, LOCK_FILE)))
  const third = spawnSync(process.execPath, [PROGRAM, dataDir, '1', '1', '1'])
  t.match(third.stdout.toString(), /closed/)
})

t.test('a lock whose process is gone is taken over, even if its number lives again', async (t) => {
  const dataDir = newFolder()
  const lock = await takeLock(dataDir, systemClock)
  if (typeof lock === 'string') throw new Error(lock)
  const path = join(dataDir, LOCK_FILE)
  const mine = JSON.parse(readFileSync(path, 'utf8'))
  writeFileSync(path, JSON.stringify({ ...mine, startTick: '1' }))
  const again = await takeLock(dataDir, systemClock)
  t.type(again, 'object', 'the same process id, started at another time')
  writeFileSync(path, JSON.stringify({ ...mine, pid: 2 ** 22 + 1 }))
  t.type(await takeLock(dataDir, systemClock), 'object', 'no such process')
})

t.test('a lock of another container is believed as long as it is touched', async (t) => {
  const dataDir = newFolder()
  const lock = await takeLock(dataDir, systemClock)
  if (typeof lock === 'string') throw new Error(lock)
  const path = join(dataDir, LOCK_FILE)
  const mine = JSON.parse(readFileSync(path, 'utf8'))
  writeFileSync(path, JSON.stringify({ ...mine, namespace: 'pid:[1]', host: 'elsewhere' }))
  const touching = setInterval(() => lock.touch(), 1000)
  t.match(await takeLock(dataDir, systemClock), /on elsewhere is writing this log/)
  clearInterval(touching)
  t.type(await takeLock(dataDir, systemClock), 'object', 'and no longer')
  unlinkSync(path)
})

t.test('the lock is touched while the writer thread is stuck with what it finds', async (t) => {
  const dataDir = newFolder()
  mkdirSync(journalsOf(dataDir), { recursive: true })
  // Opening a pipe blocks the thread until somebody opens its other end.
  const pipe = join(journalsOf(dataDir), '0-5-1.jnl')
  t.equal(spawnSync('mkfifo', [pipe]).status, 0)
  let isOpen = false
  const opening = openAudit({ dataDir, lanes: 1, clock: systemClock }).finally(() => {
    isOpen = true
  })
  const path = join(dataDir, LOCK_FILE)
  while (!existsSync(path)) await sleep(5)
  for (let times = 0; times < 2; times += 1) {
    utimesSync(path, 1, 1)
    await eventually(() => statSync(path).mtimeMs > 1000, { withinMs: 30_000, until: 'it is touched' })
  }
  t.notOk(isOpen, 'and the thread was stuck all the time')
  const end = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK)
  t.match(await opening, { kind: 'audit-problem' }, 'a pipe is no journal')
  closeSync(end)
  t.notOk(existsSync(path))
})

t.test('lanes, control records and counts agree after a clean close', async (t) => {
  const dataDir = newFolder()
  const audit = await opened(dataDir)
  const at = Date.now()
  audit.event('start', {
    at,
    version: '0.1.0',
    node: process.version,
    platform: 'test',
    lanes: 1,
    pid: process.pid,
  })
  const lane = new LaneJournal(audit.laneParts(0), systemClock)
  const ids = Array.from({ length: 500 }, () => {
    const record = sampleDecision()
    lane.decision(record, sampleInputs, () => {})
    return record.id
  })
  lane.flush()
  const story = await findDecision(dataDir, ids[250]!)
  t.equal(story?.decision?.decision.id, ids[250], 'found while the gateway runs, sequenced or not')
  lane.shadow({
    id: ids[0]!,
    receivedAt: at,
    model: 'fraud',
    version: 'v3',
    fate: 'answered',
    agreement: 'agree',
    differences: [0],
    attempt: null,
  })
  lane.note('breaker', {
    at,
    model: 'fraud',
    version: 'v2',
    from: 'closed',
    to: 'open',
    cause: '5 in a row',
    enforced: true,
  })
  lane.close()
  audit.event('stop', { at, cause: 'SIGTERM', abandoned: 0 })
  await eventually(() => audit.counts().backlogBytes === 0, { withinMs: 30_000, until: 'all is sequenced' })
  t.match(audit.counts(), { written: 504, sequenced: 504, lost: 0, digestsLost: 0, backlogBytes: 0 })
  await audit.close()
  t.strictSame(readdirSync(journalsOf(dataDir)), [])
  const verdict = verifyLog(dataDir)
  t.match(verdict, { isWhole: true, records: 505, first: 0, last: 504 })
  t.strictSame(Object.fromEntries(verdict.types), {
    key: 1,
    start: 1,
    decision: 500,
    shadow: 1,
    breaker: 1,
    stop: 1,
  })
  const told = await findDecision(dataDir, ids[0]!)
  t.match(told, {
    decision: { type: 'decision' },
    shadows: [{ shadow: { version: 'v3', agreement: 'agree' } }],
  })
  t.equal(await findDecision(dataDir, sampleDecision().id), null)
})

t.test('a directory that cannot be used is a problem in one line, not a crash', async (t) => {
  const file = join(newFolder(), 'file')
  writeFileSync(file, '')
  const result = await openAudit({ dataDir: join(file, 'data'), lanes: 1, clock: systemClock })
  t.match(result, { kind: 'audit-problem', message: /cannot be used: ENOTDIR/ })
  const dataDir = newFolder()
  await (await opened(dataDir)).close()
  writeFileSync(join(dataDir, 'keys', 'digest.key'), 'short')
  const broken = await openAudit({ dataDir, lanes: 1, clock: systemClock })
  t.match(broken, { kind: 'audit-problem', message: /should hold 32 bytes/ })
  t.notOk(existsSync(join(dataDir, LOCK_FILE)), 'and the lock is given back')
})
