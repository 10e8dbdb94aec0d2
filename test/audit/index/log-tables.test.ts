/** What is documented of the log's tables is what they hold. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { logTables } from '../../../scripts/write-log-tables.ts'
import { openAnalysis } from '../../../src/audit/index/analysis.ts'
import { newFolder } from '../new-folder.ts'

t.test('docs/log-tables.md is written from the columns', async (t) => {
  t.equal(
    readFileSync('docs/log-tables.md', 'utf8'),
    logTables(),
    'npm run docs writes docs/log-tables.md again',
  )
})

t.test('the questions in docs/log-tables.md are answered', async (t) => {
  const [, sql = ''] = /```sql\n([\s\S]*?)```/.exec(readFileSync('docs/log-tables.md', 'utf8')) ?? []
  const questions = sql.split(';').filter((question) => question.trim() !== '')
  t.equal(questions.length, 3)
  const analysis = await openAnalysis(newFolder())
  for (const question of questions) t.strictSame(await analysis.rows(question), [])
  analysis.close()
})
