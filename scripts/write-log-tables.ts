/**
 * Writes docs/log-tables.md from the columns in src/audit/index/, so that what is documented of the log's tables cannot
 * differ from what they hold. test/audit/index/log-tables.test.ts compares the two.
 */
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { SQL_TYPES } from '../src/audit/index/column.ts'
import { TABLES, type Table } from '../src/audit/index/tables.ts'
import { markdownTable } from './write-fault-table.ts'

const INTRODUCTION = `# The log as tables

What \`modelgate audit query\` answers from, \`audit export\` writes, and \`data_dir/index/*.parquet\` hold. \`shadows\` and
\`streams\` are joined to \`decisions\` by \`id\`. All times are UTC. In the Parquet files of \`index/\` digests and trace ids are
bytes; everywhere else they are hex digits.

SQL is [DuckDB’s](https://duckdb.org/docs/sql/introduction), one statement that reads. It sees these tables and nothing else: no
file, no network, no extension that is not built in; 1 GiB of memory, and nothing is spilled to the disk. What gives no
rows for 60 s is ended (\`--timeout\`).

\`\`\`sql
-- latency of each version by the hour
SELECT time_bucket(INTERVAL 1 HOUR, time) AS hour, version, count(*) AS requests,
  approx_quantile(duration_ms, [0.5, 0.99]) AS ms
FROM decisions WHERE model = 'flights' AND time > now()::TIMESTAMP - INTERVAL 1 DAY GROUP BY ALL ORDER BY hour;

-- where a shadow disagrees with what callers were told
SELECT d.version, s.version AS shadow, s.agreement, count(*) FROM decisions d JOIN shadows s USING (id) GROUP BY ALL;

-- what happened to versions
SELECT time, type, version, details ->> '$.cause' AS cause FROM events WHERE model = 'flights' ORDER BY time;
\`\`\`

This page is written by \`npm run docs\` from \`src/audit/index/\`.
`

export function logTables(): string {
  return [INTRODUCTION, ...TABLES.map(section)].join('\n')
}

function section({ name, meaning, columns }: Table): string {
  const rows = columns.map((column) => [
    `\`${column.name}\``,
    `${SQL_TYPES[column.type]}${column.isNullable === true ? ', null' : ''}`,
    column.meaning,
  ])
  return `## ${name}\n\nThe table \`${name}\`: ${meaning}.\n\n${markdownTable(['column', 'type', 'meaning'], rows)}`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync('docs/log-tables.md', logTables())
}
