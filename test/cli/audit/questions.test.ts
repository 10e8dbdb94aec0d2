/** `modelgate audit list`, `query`, `export` and `index`: what they print, write and refuse, and how they exit. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { openAnalysis } from '../../../src/audit/index/analysis.ts'
import { indexOf } from '../../../src/audit/index/manifest.ts'
import { TABLES } from '../../../src/audit/index/tables.ts'
import { inboxOf } from '../../../src/audit/paths.ts'
import type { DecisionRecord } from '../../../src/audit/records/decision-record.ts'
import { csvCell, csvCellInSql } from '../../../src/cli/audit/cells.ts'
import { momentOf, withJoinedMoments } from '../../../src/cli/audit/moment.ts'
import { audit } from '../../../src/cli/audit.ts'
import { openSmallLog } from '../../audit/index/small-log.ts'
import { newFolder } from '../../audit/new-folder.ts'
import { sampleDecision, sampleInputs } from '../../audit/samples.ts'

async function run(...args: string[]): Promise<{ code: number; out: string; err: string; seen: string[] }> {
  let [out, err] = ['', '']
  const seen: string[] = []
  const io = {
    stdout: (text: string) => {
      out += text
    },
    stderr: (text: string) => {
      err += text
    },
    progress: (text: string) => void seen.push(text),
    color: false,
  }
  return { code: await audit(args, io), out, err, seen }
}

const DAY = Date.parse('2026-11-02T00:00:00Z')
const HOUR = 3_600_000
const EVIL = '=HYPERLINK("http://x","\u001b[31mred")\u0007,\n'

interface Written {
  readonly dataDir: string
  readonly decisions: DecisionRecord[]
}

/** One decision an hour of each model; keys `user-0` to `user-3` in turn. */
function writtenLog(): Written {
  const log = openSmallLog({ segmentBytesMax: 6000 })
  const decisions: DecisionRecord[] = []
  for (let hour = 0; hour < 24; hour += 1) {
    for (const model of ['fraud', 'churn']) {
      const fault = hour === 7 ? { code: 'timeout-total', message: 'm', detail: 'd' } : null
      const decision = sampleDecision({
        receivedAt: DAY + hour * HOUR,
        model,
        fault,
        ...(hour === 8 ? { client: { address: '10.0.0.9', userAgent: EVIL } } : {}),
        ...(hour === 9 ? { client: { address: '10.0.0.9', userAgent: 'it\'s "quoted" \u{1f600}' } } : {}),
      })
      decisions.push(decision)
      log.lanes[0]!.decision(decision, { ...sampleInputs, key: `user-${hour % 4}` }, () => {})
    }
    log.lanes[0]!.flush()
    log.writer.round()
  }
  log.lanes[0]!.close()
  log.writer.finish()
  return { dataDir: log.dataDir, decisions }
}

const { dataDir, decisions } = writtenLog()
const at = ['--data', dataDir]

const accesses = () =>
  readdirSync(inboxOf(dataDir))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(inboxOf(dataDir), name), 'utf8')).note)

t.test('list shows the newest first, in lines or as data, and puts on record that it did', async (t) => {
  const shown = await run('list', '--limit', '3', ...at)
  t.equal(shown.code, 0)
  const [head, ...lines] = shown.out.trimEnd().split('\n')
  t.match(head, /^time \(UTC\) +request id +model +version +reason +outcome +status +ms +caller$/)
  t.strictSame(
    lines.map((line) => line.slice(0, 23)),
    ['2026-11-02 23:00:00.000', '2026-11-02 23:00:00.000', '2026-11-02 22:00:00.000'],
  )
  t.match(accesses().at(-1), { action: 'audit list', asked: 'everything', records: 3 })
  const rows = JSON.parse((await run('list', '--json', '--limit', '100', ...at)).out)
  t.strictSame(rows.map((row: { id: string }) => row.id).sort(), decisions.map(({ id }) => id).sort())
  t.strictSame(
    Object.keys(rows[0]),
    TABLES[0]!.columns.map(({ name }) => name),
  )
})

t.test('each filter of list keeps what it says', async (t) => {
  const ids = async (...args: string[]) =>
    (JSON.parse((await run('list', '--json', '--limit', '100', ...args, ...at)).out) as { id: string }[])
      .map(({ id }) => id)
      .sort()
  const those = (fits: (one: DecisionRecord, index: number) => boolean) =>
    decisions
      .filter(fits)
      .map(({ id }) => id)
      .sort()
  t.strictSame(
    await ids('--from', '2026-11-02T05:00', '--to', '2026-11-02T06:00Z'),
    those(({ receivedAt }) => receivedAt === DAY + 5 * HOUR),
  )
  t.strictSame(
    await ids('--model', 'churn'),
    those(({ model }) => model === 'churn'),
  )
  t.strictSame(
    await ids('--outcome', 'timeout-total'),
    those(({ fault }) => fault !== null),
  )
  t.strictSame(
    await ids('--caller', '10.0.0.9'),
    those(({ client }) => client.address === '10.0.0.9'),
  )
  t.strictSame(
    await ids('--reason', 'canary', '--version', 'v2'),
    those(() => true),
  )
  t.strictSame(
    await ids('--key', 'user-3'),
    those((_, index) => Math.floor(index / 2) % 4 === 3),
  )
  t.strictSame(await ids('--key', 'user-3', '--model', 'fraud', '--from', '-1m'), [])
  const record = accesses().at(-1)
  t.match(record.asked, /one sticky key/)
  t.notMatch(JSON.stringify(accesses()), /user-3/, 'whose key it is stays out of the log')
})

t.test('when nothing fits, list says so, and what was perhaps meant', async (t) => {
  const found = await run('list', '--model', 'fruad', '--caller', '::1', ...at)
  t.match(found, { code: 0, out: '', err: /no decision fits \(model fruad, caller ::1\)/ })
  t.match(found.err, /no model 'fruad' in the log; did you mean 'fraud'\?\n.*no caller '::1' in the log\n/)
  t.match(await run('list', '--model', 'fruad', '--json', ...at), { code: 0, out: '[]\n' })
  t.match(await run('list', '--limit', '0', ...at), { code: 2, err: /--limit '0' is no number/ })
  t.match(await run('list', '--from', 'soon', ...at), { code: 2, err: /--from: 'soon' is no moment/ })
  t.match(await run('list', '--data', join(dataDir, 'nowhere')), { code: 3 })
  const keyless = newFolder()
  t.match(await run('list', '--key', 'x', '--data', keyless), { code: 2, err: /digest\.key is needed/ })
  t.notOk(existsSync(join(keyless, 'keys')), 'a question makes no key')
  t.match(await run('list', '--data', keyless), { code: 0, err: /no decision fits \(everything\)/ })
})

t.test('query answers as a table, CSV, JSON lines or one JSON document', async (t) => {
  const sql = `SELECT model, count(*) AS n, min(time) AS first, NULL AS nothing FROM decisions GROUP BY model ORDER BY model`
  const first = '2026-11-02T00:00:00.000Z'
  t.match(await run('query', sql, ...at), {
    code: 0,
    out: `model   n  first                     nothing\nchurn  24  ${first}\nfraud  24  ${first}\n`,
  })
  t.match(await run('query', sql, '--format', 'csv', ...at), {
    out: `"model","n","first","nothing"\n"churn",24,"${first}",\n"fraud",24,"${first}",\n`,
  })
  const rows = ['churn', 'fraud'].map((model) => ({ model, n: 24, first, nothing: null }))
  const lines = (await run('query', sql, '--format', 'jsonl', ...at)).out.trimEnd().split('\n')
  t.strictSame(
    lines.map((line) => JSON.parse(line)),
    rows,
  )
  t.strictSame(JSON.parse((await run('query', sql, '--json', ...at)).out), rows)
  t.match(accesses().at(-1), { action: 'audit query', asked: sql, records: 2 })
  t.match(await run('query', 'SELECT * FROM decisions WHERE false', ...at), {
    code: 0,
    out: /\(no rows\)\n$/,
  })
  t.equal((await run('query', 'SELECT 1 WHERE false', '--json', ...at)).out, '[]\n')
  t.match((await run('query', 'EXPLAIN SELECT 1', ...at)).out, /PROJECTION/)
  const many = await run('query', 'SELECT unnest(range(5000)) AS n', '--limit', '2', ...at)
  t.match(many, { out: 'n\n0\n1\n', err: /there are more rows/ })
  const cut = await run('query', 'SELECT unnest(range(1500)) AS n', ...at)
  t.equal(cut.out.trimEnd().split('\n').length, 1001)
  t.notMatch((await run('query', 'SELECT 1 AS n', '--limit', '1', ...at)).err, /more rows/)
})

t.test('query refuses with the engine’s words and the nearest name, and exits 2', async (t) => {
  const mistyped = await run('query', 'SELECT modle FROM decisions', ...at)
  t.match(mistyped, { code: 2, out: '', err: /modelgate audit query: Binder Error.*"modle"[\s\S]*"model"/ })
  t.match(await run('query', 'DROP VIEW decisions', ...at), { code: 2, err: /the log is only read/ })
  t.match(await run('query', ...at), { code: 2, err: /the SQL is needed/ })
  t.match(await run('query', 'SELECT', '1', ...at), { code: 2, err: /quote it/ })
  t.match(await run('query', 'SELECT 1', '--format', 'xml', ...at), {
    code: 2,
    err: /none of table, csv, jsonl/,
  })
  t.match(await run('query', 'SELECT 1', '--limit', 'x', ...at), { code: 2, err: /--limit 'x'/ })
})

t.test('what callers sent cannot reach the terminal or run in a spreadsheet', async (t) => {
  const sql = `SELECT user_agent FROM decisions WHERE caller = '10.0.0.9' ORDER BY time, model LIMIT 1`
  for (const format of ['table', 'jsonl']) {
    const { out } = await run('query', sql, '--format', format, ...at)
    t.match(out, /\\u001b\[31mred/)
    t.notOk(out.includes('\u001b') || out.includes('\u0007'))
  }
  const { out } = await run('query', sql, '--format', 'csv', ...at)
  t.match(out, /\n"'=HYPERLINK\(""http/)
})

t.test('columns are told with their types and what they mean', async (t) => {
  const { code, out } = await run('query', '--columns')
  t.equal(code, 0)
  for (const { name, columns } of TABLES) {
    t.ok(out.includes(`${name}: `))
    for (const column of columns) t.ok(out.includes(column.meaning), column.name)
  }
  t.strictSame(
    JSON.parse((await run('query', '--columns', '--json')).out).map(({ table }: { table: string }) => table),
    TABLES.map(({ name }) => name),
  )
})

t.test('what is exported as JSON lines, CSV or Parquet is what the log holds', async (t) => {
  const folder = newFolder()
  const expected = JSON.parse(
    (await run('query', 'SELECT * FROM decisions ORDER BY seq', '--json', ...at)).out,
  )
  const lines = await run('export', '--format', 'jsonl', ...at)
  t.equal(lines.code, 0)
  const rows = lines.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.strictSame(
    rows.sort((a, b) => a.seq - b.seq),
    expected,
  )
  t.match(accesses().at(-1), { action: 'audit export', asked: 'decisions as jsonl: everything', records: 48 })
  const parquet = join(folder, 'decisions.parquet')
  const told = await run(
    'export',
    '--format',
    'parquet',
    '--model',
    'fraud',
    '--out',
    parquet,
    '--json',
    ...at,
  )
  t.match(JSON.parse(told.out), { file: parquet, rows: 24 })
  t.equal(statSync(parquet).mode & 0o777, 0o600)
  t.strictSame(readdirSync(folder), ['decisions.parquet'])
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  const csv = join(folder, 'decisions.csv')
  t.equal((await run('export', '--format', 'csv', '--out', csv, ...at)).code, 0)
  for (const [file, count] of [
    [`read_parquet('${parquet}')`, 24],
    [`read_csv('${csv}', all_varchar = true)`, 48],
  ] as const) {
    const read = await connection.runAndReadAll(
      `SELECT id::VARCHAR, key_digest, user_agent FROM ${file} ORDER BY seq::BIGINT`,
    )
    const guarded = (text: string) => (file.startsWith('read_csv') && text === EVIL ? `'${text}` : text)
    t.strictSame(
      read.getRowsJS(),
      expected
        .filter(({ model }: { model: string }) => count === 48 || model === 'fraud')
        .map((row: Record<string, string>) => [row.id, row.key_digest, guarded(row.user_agent!)]),
      file,
    )
  }
  connection.closeSync()
  instance.closeSync()
})

t.test('an export never replaces a file unasked, and leaves none when it fails', async (t) => {
  const folder = newFolder()
  const out = join(folder, 'x.jsonl')
  writeFileSync(out, 'mine')
  t.match(await run('export', '--format', 'jsonl', '--out', out, ...at), {
    code: 2,
    err: /--force replaces it/,
  })
  t.equal(readFileSync(out, 'utf8'), 'mine')
  t.equal(
    (await run('export', '--format', 'jsonl', '--table', 'events', '--out', out, '--force', ...at)).code,
    0,
  )
  t.match(readFileSync(out, 'utf8'), /^\{"seq":0,/)
  t.match(await run('export', '--format', 'parquet', ...at), { code: 2, err: /--out FILE/ })
  t.match(await run('export', '--format', 'parquet', '--out', join(folder, 'a', 'b'), ...at), { code: 3 })
  t.match(await run('export', '--format', 'csv', '--table', 'streams', '--reason', 'pin', ...at), {
    code: 2,
    err: /the table streams has no such column/,
  })
  t.match(await run('export', ...at), { code: 2, err: /--format is needed/ })
  t.match(await run('export', '--format', 'csv', '--table', 'x', ...at), {
    code: 2,
    err: /none of decisions/,
  })
  t.strictSame(readdirSync(folder), ['x.jsonl'])
})

t.test('cells of CSV are the same whether SQL makes them or we do', async () => {
  const analysis = await openAnalysis(newFolder())
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('', '=', '\t', '\r', '-'),
      async (rest, start) => {
        const text = `${start}${rest}`
        const [row] = await analysis.rows(
          `SELECT ${csvCellInSql('x')} AS cell FROM (SELECT ?::VARCHAR AS x)`,
          [text],
        )
        return row!.cell === csvCell(text)
      },
    ),
    { numRuns: 200 },
  )
  analysis.close()
})

t.test('index makes the index whole, says what it did, and can begin anew', async (t) => {
  const made = await run('index', ...at)
  t.match(made, {
    code: 0,
    out: /^\d+ segments? indexed, \d+ of them now\n[\d,]+ records in [\d,]+ bytes, \d+ a record\n$/,
  })
  t.ok(made.seen.some((line) => /segment \d+ of \d+/.test(line)))
  const again = JSON.parse((await run('index', '--json', ...at)).out)
  t.match(again, { made: 0, rebuilt: 0 })
  const [damaged] = readdirSync(indexOf(dataDir)).filter((name) => name.endsWith('.parquet'))
  writeFileSync(join(indexOf(dataDir), damaged!), 'x')
  t.match(JSON.parse((await run('index', '--json', ...at)).out), { made: 1, rebuilt: 1 })
  t.match(JSON.parse((await run('index', '--rebuild', '--json', ...at)).out), {
    ...again,
    made: again.segments,
  })
  rmSync(indexOf(dataDir), { recursive: true })
  writeFileSync(indexOf(dataDir), '')
  t.match(await run('index', ...at), { code: 3, err: /the index in .* cannot be made/ })
  rmSync(indexOf(dataDir))
})

t.test('moments are absolute in UTC or relative to now', async (t) => {
  t.equal(momentOf('2026-11-02', 0), DAY)
  t.equal(momentOf('2026-11-02T01:00', 0), DAY + HOUR)
  t.equal(momentOf('2026-11-02 01:00:00.250+01:00', 0), DAY + 250)
  t.equal(momentOf('-2h', DAY), DAY - 2 * HOUR)
  t.type(momentOf('2026-02-30', 0), 'string')
  t.strictSame(withJoinedMoments(['--from', '-1h', 'x'], ['--from']), ['--from=-1h', 'x'])
})

t.test('every question has help', async (t) => {
  for (const name of ['list', 'query', 'export', 'index'])
    t.match(await run(name, '--help'), { code: 0, out: new RegExp(`^Usage: modelgate audit ${name}`) })
})

t.test(
  'a question without an end is ended, and one that holds too much is refused, in words of ours',
  async (t) => {
    const endless = 'WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n'
    const ended = await run('query', endless, '--timeout', '0.3', ...at)
    t.match(ended, {
      code: 2,
      out: '',
      err: /ended after 0\.3 s without an answer; --timeout N waits longer\n$/,
    })
    const large = await run('query', 'SELECT list(i) FROM range(400000000) AS r(i)', ...at)
    t.equal(large.code, 2)
    t.match(
      large.err,
      /Out of Memory Error: .*: a question may hold 1GiB; ask for fewer rows, columns or groups\n$/,
    )
    for (const timeout of ['0', '-1', 'soon', '1e99'])
      t.match(await run('query', 'SELECT 1', `--timeout=${timeout}`, ...at), { code: 2, err: /--timeout/ })
  },
)
