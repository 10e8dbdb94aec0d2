/** The log as tables: what columns hold, each record once wherever it lies, and SQL that may only read. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type Analysis, openAnalysis } from '../../../src/audit/index/analysis.ts'
import { SQL_TYPES } from '../../../src/audit/index/column.ts'
import { ANALYSIS_MEMORY } from '../../../src/audit/index/engine.ts'
import { IndexSegments } from '../../../src/audit/index/index-segments.ts'
import { TABLES } from '../../../src/audit/index/tables.ts'
import { journalsOf } from '../../../src/audit/paths.ts'
import { RECORD_TYPES } from '../../../src/audit/records/record-type.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { newFolder } from '../new-folder.ts'
import { sampleDecision, sampleInputs } from '../samples.ts'
import { openSmallLog, TURN, turn } from './small-log.ts'

const AT = 1_790_000_000_000

async function withAnalysis<T>(dataDir: string, use: (analysis: Analysis) => Promise<T>): Promise<T> {
  const analysis = await openAnalysis(dataDir)
  try {
    return await use(analysis)
  } finally {
    analysis.close()
  }
}

const idsOf = (dataDir: string) =>
  withAnalysis(dataDir, async (analysis) =>
    (await analysis.rows('SELECT id FROM decisions')).map(({ id }) => String(id)).sort(),
  )

const COUNTS = `SELECT (SELECT count(*) FROM decisions) AS decisions, (SELECT count(*) FROM streams) AS streams,
  (SELECT count(*) FROM shadows) AS shadows, (SELECT count(*) FROM events WHERE type = 'breaker') AS events`

const times = (turns: number) =>
  Object.fromEntries(Object.entries(TURN).map(([name, count]) => [name, count * turns]))

t.test('each record is there once while records move from journal to segment to index', async (t) => {
  const log = openSmallLog()
  const keeper = new IndexSegments(log.dataDir, systemClock)
  const ids: string[] = []
  for (let round = 0; round < 12; round += 1) {
    ids.push(...turn(log.lanes[0]!, AT + round * 1000))
    // The writer comes behind the lane, and the keeper behind the writer.
    if (round % 2 === 1) log.writer.round()
    if (round > 5) await keeper.step()
    if (round % 3 === 2) t.strictSame(await idsOf(log.dataDir), [...ids].sort(), `round ${round}`)
  }
  t.ok(keeper.indexed > 0 && readdirSync(journalsOf(log.dataDir)).length > 0)
  const counts = await withAnalysis(log.dataDir, (analysis) => analysis.rows(COUNTS))
  t.strictSame(counts, [times(12)])
  log.lanes[0]!.close()
  log.writer.finish()
  while (await keeper.step());
  t.strictSame(await withAnalysis(log.dataDir, (analysis) => analysis.rows(COUNTS)), [times(12)])
  const scratch = readdirSync(tmpdir()).filter((name) => name.startsWith(`modelgate-audit-${process.pid}-`))
  t.strictSame(scratch, [], 'nothing is left behind')
})

t.test('columns hold what the records say, from the journal and from the index alike', async (t) => {
  const log = openSmallLog()
  const lane = log.lanes[0]!
  const decision = sampleDecision({
    receivedAt: AT + 0.75,
    request: { method: 'POST', path: '/v2/models/fraud/infer', contentType: 'x', bodyBytes: 5_000_000_000 },
    client: { address: '10.0.0.5', userAgent: 'it\'s \u{1f600} "quoted"' },
    usage: { prompt: 12, completion: -1, total: 12 },
    fault: { code: 'timeout', message: 'm', detail: 'd' },
    plan: { ...sampleDecision().plan!, point: -1, experiment: 'e1' },
  })
  lane.decision(decision, { ...sampleInputs, answer: null }, () => {})
  turn(lane, AT)
  const expected = {
    time: '2026-09-21T14:13:20.000Z',
    id: decision.id,
    model: 'fraud',
    version: 'v2',
    assigned: 'v2',
    reason: 'canary',
    outcome: 'timeout',
    status: 200,
    user_agent: decision.client.userAgent,
    point: null,
    experiment: 'e1',
    role: 'canary',
    duration_ms: 3.456,
    first_byte_ms: 2.3,
    attempts: 1,
    endpoint: 'http://10.0.0.11:8000',
    request_bytes: 5_000_000_000,
    answer_bytes: 128,
    prompt_tokens: 12,
    completion_tokens: null,
    generation: 3,
    config_hash: '5f'.repeat(32),
    trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
    is_shadow: false,
    kept: '',
  }
  const look = () =>
    withAnalysis(log.dataDir, async (analysis) => [
      ...(await analysis.rows('SELECT * FROM decisions WHERE id = ?', [decision.id])),
      ...(await analysis.rows('SELECT * FROM shadows')),
      ...(await analysis.rows('SELECT * FROM streams')),
      ...(await analysis.rows(`SELECT *, details ->> '$.cause' AS cause FROM events WHERE type = 'breaker'`)),
    ])
  const shadow = { version: 'v3', fate: 'answered', agreement: 'differ', status: 200, duration_ms: 2.4 }
  const others = [
    { ...shadow, differences: '[0.25,null]' },
    { fate: 'complete', duration_ms: 2345.678, bytes: 12_345, finish_reason: 'stop', completion_tokens: 100 },
    {
      time: '2026-09-21T14:13:20.000Z',
      type: 'breaker',
      model: 'fraud',
      version: 'v2',
      cause: '"5" of 10 failed',
    },
  ]
  t.match(await look(), [{ ...expected, seq: null, key_digest: 'pending' }, ...others])
  log.writer.round()
  for (let round = 1; round < 6; round += 1) {
    turn(lane, AT)
    log.writer.round()
  }
  const keeper = new IndexSegments(log.dataDir, systemClock)
  while (await keeper.step());
  const [found] = await look()
  const key = log.digester.hexOf(Buffer.from(sampleInputs.key))
  t.match(found, {
    ...expected,
    seq: 1,
    key_digest: key,
    answer_digest: 'absent',
  })
  lane.close()
  log.writer.finish()
})

t.test('views have the columns that are documented, also of an empty log', async (t) => {
  const folder = newFolder()
  mkdirSync(join(folder, 'segments'))
  await withAnalysis(folder, async (analysis) => {
    for (const { name, columns } of TABLES) {
      const described = await analysis.rows(`DESCRIBE ${name}`)
      t.strictSame(
        described.map(({ column_name: column, column_type: type }) => [column, type]),
        columns.map((column) => [column.name, SQL_TYPES[column.type]]),
      )
      t.strictSame(await analysis.rows(`SELECT count(*)::INTEGER AS n FROM ${name}`), [{ n: 0 }])
    }
  })
})

t.test('every kind of record is in a table, but for marks', async (t) => {
  const { tableOf } = await import('../../../src/audit/index/tables.ts')
  const names = Object.keys(RECORD_TYPES).filter((type) => tableOf({ type } as never) === null)
  t.strictSame(names, ['mark'])
})

t.test('SQL that writes, reads other files, loads code or changes settings is refused', async (t) => {
  const log = openSmallLog()
  turn(log.lanes[0]!, AT)
  log.lanes[0]!.close()
  log.writer.finish()
  const outside = join(newFolder(), 'outside.csv')
  writeFileSync(outside, 'a\n1\n')
  const made = `${outside}.made`
  await withAnalysis(log.dataDir, async (analysis) => {
    const refused = [
      `COPY decisions TO '${made}'`,
      `EXPLAIN ANALYZE COPY (SELECT 1) TO '${made}'`,
      `/* x */ EXPLAIN /* y */ ANALYZE COPY (SELECT 1) TO '${made}'`,
      `EXPORT DATABASE '${made}'`,
      `ATTACH '${made}' AS other`,
      `CREATE TABLE x (a INTEGER)`,
      `CREATE OR REPLACE VIEW decisions AS SELECT 1`,
      'DROP VIEW decisions',
      'INSERT INTO decisions VALUES (1)',
      'DELETE FROM decisions',
      `SELECT * FROM read_csv('${outside}')`,
      `SELECT * FROM '${outside}'`,
      `SELECT * FROM read_text('${outside}')`,
      `SELECT * FROM glob('${outside}')`,
      `SELECT * FROM sniff_csv('${outside}')`,
      `SELECT * FROM read_csv('https://example.com/x.csv')`,
      'INSTALL httpfs',
      'LOAD httpfs',
      `SET memory_limit = '10GB'`,
      'SET enable_external_access = true',
      'RESET lock_configuration',
      'CALL pragma_version()',
      'PREPARE x AS SELECT 1',
      'BEGIN',
      'SELECT 1; SELECT 2',
      'SELECT 1; DROP VIEW decisions',
      '',
      '-- nothing',
    ]
    for (const sql of refused) {
      await t.rejects(analysis.rows(sql), { name: 'QueryRefused' }, sql)
    }
    t.notOk(existsSync(made))
    const [settings] = await analysis.rows(
      `SELECT current_setting('enable_external_access') AS access, current_setting('lock_configuration') AS lock,
       current_setting('temp_directory') AS spill, current_setting('memory_limit') AS memory`,
    )
    t.match(settings, { access: false, lock: true, spill: '', memory: '1.0 GiB' })
    t.equal(ANALYSIS_MEMORY, '1GiB')
  })
})

t.test('what is wrong with a question is said, with the names that were near', async (t) => {
  const folder = newFolder()
  await withAnalysis(folder, async (analysis) => {
    await t.rejects(analysis.rows('SELECT modle FROM decisions'), {
      message: /"modle" not found[\s\S]*"model"/,
    })
    await t.rejects(analysis.rows('SELECT * FROM decision'), { message: /Did you mean "decisions"/ })
    await t.rejects(analysis.rows('SELECT * FROM decisions WHERE id = ?'), { message: /1 parameters/ })
    await t.rejects(analysis.rows(`SELECT 'x'::INTEGER`), { name: 'QueryRefused', message: /Conversion/ })
    t.match(await analysis.rows('EXPLAIN SELECT 1'), [{ explain_key: 'physical_plan' }])
    t.match(await analysis.rows('WITH x AS (SELECT 1 AS a) SELECT * FROM x'), [{ a: 1 }])
  })
})

t.test(
  'values are plain data: exact numbers, instants in ISO 8601, the rest as text or structure',
  async (t) => {
    await withAnalysis(newFolder(), async (analysis) => {
      const [row] =
        await analysis.rows(`SELECT 9007199254740991 AS safe, 9007199254740993 AS large, 1.5 AS decimal,
      TIMESTAMP '2026-01-02 03:04:05.123' AS ms, TIMESTAMP '2026-01-02 03:04:05.123456' AS micros,
      TIMESTAMPTZ '2026-01-02 03:04:05+01' AS zoned, 'infinity'::TIMESTAMP AS never, DATE '2026-01-02' AS day,
      TIME '10:00' AS clock, INTERVAL 90 SECOND AS span, 'nan'::DOUBLE AS nan, [1, 2] AS list,
      {'a': 1, 'at': TIMESTAMP '2026-01-02'} AS struct, MAP {'k': 1} AS map, NULL AS nothing, true AS yes`)
      t.strictSame(row, {
        safe: Number.MAX_SAFE_INTEGER,
        large: '9007199254740993',
        decimal: 1.5,
        ms: '2026-01-02T03:04:05.123Z',
        micros: '2026-01-02T03:04:05.123456Z',
        zoned: '2026-01-02T02:04:05.000Z',
        never: 'infinity',
        day: '2026-01-02',
        clock: '10:00:00',
        span: '00:01:30',
        nan: 'NaN',
        list: [1, 2],
        struct: { a: 1, at: '2026-01-02T00:00:00.000Z' },
        map: [{ key: 'k', value: 1 }],
        nothing: null,
        yes: true,
      })
    })
  },
)

t.test('a folder whose name means something to the engine is still only a name', async (t) => {
  const dataDir = join(newFolder(), `it's [a] *?`)
  mkdirSync(dataDir)
  const log = openSmallLog({ dataDir })
  for (let round = 0; round < 12; round += 1) {
    turn(log.lanes[0]!, AT)
    log.writer.round()
  }
  log.lanes[0]!.close()
  log.writer.finish()
  const keeper = new IndexSegments(dataDir, systemClock)
  while (await keeper.step());
  t.ok(keeper.indexed > 0)
  t.strictSame(await withAnalysis(dataDir, (analysis) => analysis.rows(COUNTS)), [times(12)])
})

t.test('a question that meets a vanished or damaged index file is asked once more', async (t) => {
  const log = openSmallLog()
  for (let round = 0; round < 12; round += 1) {
    turn(log.lanes[0]!, AT)
    log.writer.round()
  }
  log.lanes[0]!.close()
  log.writer.finish()
  const keeper = new IndexSegments(log.dataDir, systemClock)
  while (await keeper.step());
  const index = join(log.dataDir, 'index')
  const files = readdirSync(index).filter((name) => name.endsWith('.decisions.parquet'))
  await withAnalysis(log.dataDir, async (analysis) => {
    const path = join(index, files[0]!)
    const bytes = readFileSync(path)
    writeFileSync(path, bytes.fill(0, 4, bytes.length - 4))
    const sum = await analysis.rows('SELECT sum(attempts) AS sum FROM decisions')
    t.strictSame(sum, [{ sum: times(12).decisions }])
    t.notOk(existsSync(path), 'the damaged index was dropped')
  })
  while (await keeper.step());
  t.strictSame(await withAnalysis(log.dataDir, (analysis) => analysis.rows(COUNTS)), [times(12)])
  t.ok(existsSync(join(index, files[0]!)), 'and made anew')
  // Of the right size, but no such file at all;
  const whole = readFileSync(join(index, files[1]!))
  writeFileSync(join(index, files[1]!), Buffer.alloc(whole.length))
  t.strictSame(await withAnalysis(log.dataDir, (analysis) => analysis.rows(COUNTS)), [times(12)])
})
