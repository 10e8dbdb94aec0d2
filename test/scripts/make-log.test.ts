/** The log that `npm run make-log` writes is a whole one, the same for the same seed, with everything a real one has. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { writeMadeLog } from '../../scripts/make-log/write-log.ts'
import type { LogRecord } from '../../src/audit/decode.ts'
import { readLog } from '../../src/audit/read.ts'
import { newFolder } from '../audit/new-folder.ts'

const madeLog = (seed: number): string => {
  const folder = newFolder()
  writeMadeLog(folder, { records: 6000, days: 9, seed, models: 3 })
  return folder
}

/** Of all segments; a hash, because comparing megabytes takes minutes of describing how they differ. */
const contentsOf = (folder: string): string => {
  const digest = createHash('sha256')
  for (const name of readdirSync(join(folder, 'segments')).sort()) {
    digest.update(name).update(readFileSync(join(folder, 'segments', name)))
  }
  return digest.digest('hex')
}

t.test('a made log is whole and holds everything that days of traffic leave', async (t) => {
  const records: LogRecord[] = []
  for await (const record of readLog(madeLog(1))) records.push(record)
  t.equal(records.length, 6000)
  const types = new Set<string>(records.map(({ type }) => type))
  const wanted = ['decision', 'shadow', 'stream', 'breaker', 'config', 'start', 'stop', 'gap', 'recovery']
  for (const type of [
    ...wanted,
    'endpoint',
    'unread',
    'pressure',
    'outcome',
    'approval',
    'rollout',
    'note',
  ]) {
    t.ok(types.has(type), type)
  }
  t.notOk(types.has('unknown'))
  const decisions = records.flatMap((record) => (record.type === 'decision' ? [record.decision] : []))
  const span = decisions.at(-1)!.receivedAt - decisions[0]!.receivedAt
  t.ok(span > 7 * 86_400_000 && span < 11 * 86_400_000, `${span} ms`)
  t.ok(decisions.every(({ receivedAt }, at) => at === 0 || receivedAt >= decisions[at - 1]!.receivedAt))
  t.equal(new Set(decisions.map(({ model }) => model)).size, 4, 'three models, and refusals that name none')
  const ids = new Set(decisions.map(({ id }) => id))
  for (const record of records) {
    if (record.type === 'shadow' && !ids.has(record.shadow.id)) t.fail('a shadow has no decision')
  }
})

t.test('the same seed gives the same bytes, another one others', (t) => {
  t.equal(contentsOf(madeLog(5)), contentsOf(madeLog(5)))
  t.not(contentsOf(madeLog(5)), contentsOf(madeLog(6)))
  t.end()
})
