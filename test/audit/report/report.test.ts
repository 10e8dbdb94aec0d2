/** A report says what is true of a week whose truth is known, and no more than the log can tell. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { factsOf, lifetimeOf, modelsOf } from '../../../src/audit/report/ask.ts'
import { reportOf } from '../../../src/audit/report/build-report.ts'
import { CUTS_MAX } from '../../../src/audit/report/changes.ts'
import { evidenceOf } from '../../../src/audit/report/evidence.ts'
import type { Range } from '../../../src/audit/report/facts.ts'
import type { Evidence, Report } from '../../../src/audit/report/report.ts'
import { SLOTS_MAX, slotsOf } from '../../../src/audit/report/slots.ts'
import { MOMENTS_MAX } from '../../../src/audit/report/timeline.ts'
import { signCheckpoint } from '../../../src/audit/tree/checkpoint.ts'
import { formatVerifierKey, noteSigner, verifierKey } from '../../../src/audit/tree/note.ts'
import { newFolder } from '../new-folder.ts'
import { badWeek, CONFIG_A, CONFIG_B, WEEK } from './bad-week.ts'
import { LogTables } from './log-tables.ts'
import { objectsOf } from './report-shape.ts'

const LATER = Date.parse('2026-11-20T00:00Z')
const NO_EVIDENCE: Evidence = {
  origin: '',
  checkpoint: null,
  problem: '',
  sequences: null,
  isCovered: false,
  proofs: [],
  commands: [],
}

async function ask(log: LogTables, range: Range = WEEK, askedAt = LATER): Promise<Report> {
  return reportOf(await factsOf(log, { model: 'fraud', range, askedAt }), NO_EVIDENCE)
}

const range = (from: string, to: string): Range => ({ from: Date.parse(from), to: Date.parse(to) })

const week = badWeek()
t.teardown(async () => (await week).close())

t.test('a bad week', async (t) => {
  const log = await week
  const report = await ask(log)
  const version = (name: string) => report.traffic.versions.find((one) => one.version === name)!

  t.test('every request of the model and the range is counted once, and nothing else', async (t) => {
    const { findings: _, answeredBy, ...counts } = report.glance
    t.strictSame(counts, {
      requests: 60_000,
      answered: 59_281,
      degraded: 400,
      failed: 219,
      callersDoing: 100,
      kept: 40,
      questions: 40,
    })
    t.strictSame(answeredBy, [
      { version: 'v1', requests: 58_081, share: 58_081 / 60_000 },
      { version: 'v2', requests: 1500, share: 1500 / 60_000 },
    ])
    const endings = Object.fromEntries(report.traffic.endings.map((one) => [one.outcome, one.requests]))
    t.match(endings, { 'breaker-open': 300, 'first-byte-timeout': 200, 'client-gone': 100, unknown_crash: 3 })
  })

  t.test('over time it adds up to the same', async (t) => {
    const { slots, slotMs, versions, endings } = report.traffic
    t.equal(slots.length, 56)
    t.equal(slotMs, 3 * 3_600_000)
    t.equal(slots[0], '2026-11-09T00:00:00.000Z')
    for (const { answers, meant, troubled, overTime } of versions) {
      t.strictSame([overTime.answers, overTime.meant, overTime.troubled].map(sum), [answers, meant, troubled])
    }
    for (const { requests, overTime } of endings) t.equal(sum(overTime), requests)
    const firstOfV2 = version('v2').overTime.answers.findIndex((answers) => answers > 0)
    t.equal(slots[firstOfV2], '2026-11-11T09:00:00.000Z')
  })

  t.test('trouble is laid to the version that was meant, latency to the one that answered', async (t) => {
    const { troubled, meant, troubleRate, durationMs } = version('v2')
    t.strictSame([troubled, meant, troubleRate!.value], [500, 2000, 0.25])
    t.ok(troubleRate!.low! > 0.23 && troubleRate!.high! < 0.27)
    // The durations are 60 ms times e^(3x), x even in [0, 1).
    for (const [found, x] of [
      [durationMs!.p50, 0.5],
      [durationMs!.p95, 0.95],
      [durationMs!.p99, 0.99],
    ] as const) {
      t.ok(Math.abs(found / (60 * Math.exp(3 * x)) - 1) < 0.015, `${found} at ${x}`)
    }
  })

  t.test('what changed, in order, with who approved it', async (t) => {
    t.match(report.changes, [
      {
        number: 1,
        at: '2026-11-11T09:00:00.000Z',
        kind: 'config',
        config: { hash: CONFIG_B, previous: CONFIG_A, isReturn: false },
        approval: 'approved',
        approvalWords: /approved by ana .*2026-11-11 08:30.*c-41.*a fifth for v2/,
      },
      {
        number: 2,
        at: '2026-11-12T14:20:00.000Z',
        config: { hash: CONFIG_A, previous: CONFIG_B, isReturn: true },
        approval: 'none',
        approvalWords: 'no approval of the way back is on record',
      },
    ])
    t.equal(report.changes.length, 2, 'a restart with the same configuration is no change')
    t.strictSame(
      report.approvals.map(({ change, of }) => [change, of]),
      [
        ['c-40', 2],
        ['c-41', 1],
      ],
    )
  })

  t.test('before and after, with verdicts only where the log can tell', async (t) => {
    const [out] = report.changes
    const { before, after, versions, beside } = out!.comparison!
    t.match([before.requests, after.requests], [20_040, 10_016])
    const [v1, v2] = versions
    t.equal(v1!.share.verdict, 'lower')
    t.equal(v1!.troubleRate.verdict, 'no-clear-difference')
    t.equal(v1!.p99Ms.verdict, 'no-clear-difference')
    t.equal(v2!.share.verdict, 'higher')
    t.equal(v2!.troubleRate.verdict, 'one-sided', 'it had no traffic before')
    t.match(beside, [
      { version: 'v2', against: 'v1', troubleRate: { verdict: 'higher' }, p99Ms: { verdict: 'higher' } },
    ])
    const [profit] = beside[0]!.outcomes
    t.equal(profit!.verdict, 'lower')
    near(t, profit!.before!.value, 0.5, 'v1 each')
    near(t, profit!.after!.value, -2.5, 'v2 each')
  })

  t.test('what the gateway did by itself, and whom it touched', async (t) => {
    const { breakers, endpoints, consequences, touched } = report.actions
    t.match(breakers, [
      {
        version: 'v2',
        openings: 2,
        notClosedMs: 40 * 60_000,
        spells: [{ from: '2026-11-12T03:00:00.000Z', to: '2026-11-12T03:40:00.000Z', reopened: 1 }],
      },
    ])
    t.match(breakers[0]!.spells[0]!.cause, /12 of 20 requests failed/)
    t.match(endpoints, [{ endpoint: 'http://10.0.0.12:8000', outs: 1, outMs: 120_000 }])
    t.strictSame(consequences, [
      { because: 'breaker_open', consequence: 'version:v1', requests: 300, callers: 30, keys: 60 },
      { because: 'error', consequence: 'fail', requests: 116, callers: 50, keys: 60 },
      { because: 'timeout', consequence: 'fail', requests: 100, callers: 50, keys: 100 },
      { because: 'timeout', consequence: 'reply:calm.json', requests: 100, callers: 50, keys: 100 },
    ])
    t.strictSame(touched, { requests: 616, callers: 50, keys: 100 })
  })

  t.test('money, by the version that answered', async (t) => {
    const [profit] = report.outcomes
    t.match(profit, { name: 'profit', unit: 'EUR', isMoney: true })
    const [v1, v2] = profit!.versions
    near(t, v2!.total, -1500, 'v2')
    t.match(v2, { version: 'v2', decisions: 1500, withOutcome: 600 })
    near(t, v1!.mean!.value, 0.5, 'v1')
    near(t, sum(v2!.totalOverTime), v2!.total, 'over time')
  })

  t.test('what the log lacks, and what that means', async (t) => {
    const { gaps, lost, recoveries, runs, unknownCrash, meaning } = report.completeness
    t.match(gaps, [{ records: 37, cause: 'ENOSPC', since: '2026-11-13T10:00:00.000Z' }])
    t.equal(lost, 37)
    t.match(recoveries, [{ replayed: 812, tornBytes: 512 }])
    t.strictSame(
      runs.map(({ end }) => end),
      ['stop', 'stop', 'none', 'open'],
    )
    t.equal(unknownCrash, 3)
    t.match(meaning.join('\n'), /37 records could not be written.*too low by at most so many \(0\.062 %/)
    t.match(meaning.join('\n'), /One run .* without a stop record.*3 requests/)
  })

  t.test('the answer comes first: money, change, approval, breaker, holes', async (t) => {
    const words = report.glance.findings.map((finding) => [finding.words, ...finding.details].join('\n'))
    t.match(words[0], /v2 lost money: −1,500\.00 EUR of profit over 1,500 answers/)
    t.match(words[0], /from 2026-11-11 09:00/)
    t.match(
      words[1],
      /After change 1 .*an error or a stand-in came for 25 %.*mean profit of v2 was −2\.50 EUR/s,
    )
    t.match(words[2], /Change 2 .*no approval of the way back/)
    t.match(words.join('\n'), /breaker of v2 opened 2 times .* 40 min/)
    t.match(words.join('\n'), /touched 616 requests of 50 callers/)
    t.match(words.join('\n'), /37 records of any model missing, 1 crash/)
    t.notMatch(words.join('\n'), /because of change|caused/i, 'what followed is not called an effect')
  })

  t.test('as data it has the fields that its documentation tells', async (t) => {
    const evidence: Evidence = {
      ...NO_EVIDENCE,
      checkpoint: { size: 1, root: '', at: '', signedBy: [] },
      sequences: { first: 0, last: 0, records: 1 },
      proofs: [{ sequence: 0, lines: [''] }],
    }
    const rows = readFileSync('docs/audit-report.md', 'utf8').matchAll(
      /^\| (`[a-zA-Z.[\]]+`|\(the report\)) +\| (`.*?) +\|/gm,
    )
    const told = [...rows].map(([, path = '', fields = '']) => [
      path === '(the report)' ? '' : path.slice(1, -1),
      fields.slice(1, -1).split('`, `').sort(),
    ])
    const made = [...objectsOf({ ...report, evidence })].map(([path, fields]) => [path, [...fields].sort()])
    t.strictSame(new Map(made as [string, string[]][]), new Map(told as [string, string[]][]))
    t.strictSame(report.traffic.streams, [
      { fate: 'complete', answers: 8 },
      { fate: 'broken', answers: 2 },
    ])
  })

  t.test('a part of the week begins in the middle of things', async (t) => {
    const part = await ask(log, range('2026-11-12T03:10Z', '2026-11-12T03:20Z'))
    t.match(part.actions.breakers, [
      { openings: 0, notClosedMs: 600_000, spells: [{ from: null, to: null, ended: /not over/ }] },
    ])
    t.strictSame(part.changes, [])
    t.strictSame(part.timeline, [])
    t.ok(part.glance.requests > 0 && part.glance.requests < 300)
  })

  t.test('of a range much longer than the log, time lines show the log', async (t) => {
    const century = await ask(log, range('2000-01-01', '2100-01-01'))
    const { slots, slotMs } = century.traffic
    t.equal(century.glance.requests, 60_500, 'those beside the week, too')
    t.ok(slotMs <= 12 * 3_600_000, `a slot is ${slotMs / 3_600_000} h`)
    t.ok(Date.parse(slots[0]!) > Date.parse('2026-11-01'))
    t.ok(Date.parse(slots.at(-1)!) < LATER)
    t.equal(century.range.from, '2000-01-01T00:00:00.000Z', 'what was asked is told as it was')
    // A clock that was wrong when it was asked moves nothing out of the report.
    const early = await ask(log, range('2000-01-01', '2100-01-01'), Date.parse('2026-11-11T00:00Z'))
    t.equal(early.glance.requests, 60_500)
  })

  t.test('the same facts give the same report, wherever the clock of the machine stands', async (t) => {
    const zone = process.env.TZ
    t.teardown(() => {
      if (zone === undefined) delete process.env.TZ
      else process.env.TZ = zone
    })
    process.env.TZ = 'Asia/Kolkata'
    t.strictSame(await ask(log), report)
  })
})

t.test('an empty range is told as such', async (t) => {
  const log = await week
  const report = await ask(log, range('2026-12-01', '2026-12-08'), Date.parse('2026-12-10'))
  t.match(report.glance, { requests: 0, findings: [], answeredBy: [] })
  t.match(report.completeness.meaning, [/no loss/])
  t.match(await lifetimeOf(log, 'fraud'), { requests: 60_540 })
  t.match(await lifetimeOf(log, 'fruad'), { requests: 0, first: null })
  t.strictSame(await modelsOf(log), ['fraud', 'price'])
})

t.test('a range that is one slot, not over, with records that have no place yet', async (t) => {
  const log = await LogTables.open()
  t.teardown(() => log.close())
  const block = { from: '2026-11-09 10:00:00', to: '2026-11-09 10:00:01', version: 'v1' }
  await log.requests({ ...block, requests: 7, isUnsequenced: true })
  const second = range('2026-11-09T10:00:00Z', '2026-11-09T10:00:01Z')
  const report = await ask(log, second, second.from + 900)
  t.equal(report.traffic.slots.length, 1)
  t.strictSame(report.traffic.versions[0]!.overTime.answers, [7])
  t.equal(report.completeness.unsequenced, 7)
  t.match(report.completeness.meaning.join('\n'), /not over when the log was asked/)
  t.match(report.glance.findings, [{ weight: 'good', words: 'Nothing stands out.' }])
})

t.test('a version that few requests reached gets no verdict', async (t) => {
  const log = await LogTables.open()
  t.teardown(() => log.close())
  const config = (hash: string) => ({ generation: 1, hash, file: 'gateway.toml' })
  await log.event('config', '2026-11-08 00:00:00', config(CONFIG_A))
  await log.event('config', '2026-11-10 00:00:00', config(CONFIG_B))
  const before = { from: '2026-11-09 00:00:00', to: '2026-11-10 00:00:00' }
  const after = { from: '2026-11-10 00:00:00', to: '2026-11-11 00:00:00' }
  await log.requests({ ...before, requests: 5000, version: 'v1' })
  await log.requests({ ...after, requests: 5000, version: 'v1' })
  await log.requests({ ...after, requests: 20, version: 'v2', profit: -3 })
  await log.requests({ ...after, requests: 4, version: '', meant: 'v2', outcome: 'endpoint-error' })
  const [change] = (await ask(log)).changes
  const [v2] = change!.comparison!.beside
  t.equal(v2!.troubleRate.verdict, 'too-few-to-tell')
  t.equal(v2!.p99Ms.verdict, 'too-few-to-tell')
  t.equal(v2!.p99Ms.after!.high, null)
  t.equal(change!.approval, 'none')
})

t.test('approvals: late ones, rejected ones and those of another base are told apart', async (t) => {
  const log = await LogTables.open()
  t.teardown(() => log.close())
  const hash = (letter: string) => letter.repeat(64)
  const config = (letter: string) => ({ generation: 1, hash: hash(letter), file: '' })
  const approval = (base: string, result: string, isApproved = true) => ({
    ...{ change: `to-${result}`, by: 'eve', isApproved, words: '' },
    ...{ base: hash(base), result: hash(result) },
  })
  await log.event('config', '2026-11-01 00:00:00', config('a'))
  await log.event('config', '2026-11-09 01:00:00', config('b'))
  await log.event('approval', '2026-11-09 02:00:00', approval('a', 'b'))
  await log.event('approval', '2026-11-09 03:00:00', approval('a', 'c'))
  await log.event('config', '2026-11-09 04:00:00', config('c'))
  await log.event('approval', '2026-11-09 05:00:00', approval('c', 'd', false))
  await log.event('config', '2026-11-09 06:00:00', config('d'))
  await log.event('rollout', '2026-11-09 07:00:00', {
    ...{ model: 'fraud', version: 'v2', step: 'rolled-back', percent: 0, by: '', cause: 'error rate' },
  })
  const { changes } = await ask(log)
  t.strictSame(
    changes.map(({ approval }) => approval),
    ['late', 'other-base', 'rejected', 'not-needed'],
  )
  t.match(changes[3]!.words, /rollout of v2: rolled-back, 0 %, by itself: error rate/)
})

t.test('a breaker that flaps all week buries nothing, and many changes are not all compared', async (t) => {
  const log = await LogTables.open()
  t.teardown(() => log.close())
  await log.requests({ from: '2026-11-09 00:00:00', to: '2026-11-16 00:00:00', requests: 100, version: 'v1' })
  await log.rows(`
    INSERT INTO events
    SELECT i, TIMESTAMP '2026-11-09' + to_minutes(i), 'breaker', 'fraud', 'v2', json_object(
      'to', CASE WHEN i % 2 = 0 THEN 'open' ELSE 'closed' END, 'cause', 'x', 'enforced', true)
    FROM range(2000) AS each(i)`)
  await log.rows(`
    INSERT INTO events
    SELECT 5000 + i, TIMESTAMP '2026-11-15' + to_minutes(i), 'config', NULL, NULL, json_object('hash', 'h' || i)
    FROM range(30) AS each(i)`)
  const report = await ask(log)
  t.equal(report.actions.breakers[0]!.openings, 1000)
  t.equal(report.actions.breakers[0]!.notClosedMs, 1000 * 60_000)
  t.equal(report.timeline.length, MOMENTS_MAX)
  t.equal(report.timelineLeftOut, 2030 - MOMENTS_MAX)
  t.equal(report.timeline.filter(({ kind }) => kind === 'config').length, 30)
  t.equal(report.changesNotCompared, 30 - CUTS_MAX)
})

t.test('evidence: a checkpoint is believed only when the log’s own key signed it', async (t) => {
  const dataDir = newFolder()
  const records = { sequences: { first: 10, last: 99 }, records: 90 }
  t.match(evidenceOf(dataDir, records), { checkpoint: null, problem: /there is no checkpoint/ })
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const origin = 'modelgate/0011223344556677/1'
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
  mkdirSync(join(dataDir, 'keys'))
  writeFileSync(join(dataDir, 'origin'), `${origin}\n`)
  writeFileSync(join(dataDir, 'keys', 'log.vkey'), `${formatVerifierKey(verifierKey(origin, raw))}\n`)
  const sign = (size: number) =>
    signCheckpoint({ origin, size, root: Buffer.alloc(32, 7) }, [noteSigner(origin, privateKey)])
  writeFileSync(join(dataDir, 'checkpoint'), sign(100))
  t.match(evidenceOf(dataDir, records), {
    origin,
    checkpoint: { size: 100 },
    problem: '',
    isCovered: true,
    sequences: { first: 10, last: 99, records: 90 },
    commands: [
      'modelgate audit verify --from 10 --to 99',
      'modelgate audit proof 10',
      'modelgate audit proof 99',
    ],
  })
  writeFileSync(join(dataDir, 'checkpoint'), sign(99))
  t.equal(evidenceOf(dataDir, records).isCovered, false, 'the last record is not under it')
  writeFileSync(join(dataDir, 'checkpoint'), sign(100).replace('\n100\n', '\n200\n'))
  t.match(evidenceOf(dataDir, records), { checkpoint: null, problem: /not to be believed/ })
})

t.test('no range has more slots than a chart can show', async (t) => {
  for (const days of [0.00001, 0.01, 0.5, 1, 7, 8, 31, 366, 4000]) {
    const from = Date.parse('2026-11-09T11:11:11.111Z')
    const to = from + days * 86_400_000
    const { starts, widthMs, base } = slotsOf(from, to)
    t.ok(starts.length >= 1 && starts.length <= SLOTS_MAX, `${days} days: ${starts.length}`)
    t.ok(starts[0]! <= from && starts.at(-1)! + widthMs >= to)
    t.equal(starts[0], base * widthMs)
  }
})

function sum(numbers: readonly number[]): number {
  return numbers.reduce((one, other) => one + other, 0)
}

function near(t: Test, found: number, expected: number, words: string): void {
  t.ok(Math.abs(found - expected) < 1e-3 * Math.max(1, Math.abs(expected)), `${words}: ${found}, ${expected}`)
}
