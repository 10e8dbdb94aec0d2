/** A legal hold is a file: there or not, damaged or not. */
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { holdOf, liftHold, putHold } from '../../src/audit/hold.ts'
import { HOLD_FILE } from '../../src/audit/paths.ts'
import { newFolder } from './new-folder.ts'

t.test('a hold is what was put, until it is lifted, and lifting twice is lifting once', async (t) => {
  const dataDir = newFolder()
  t.equal(holdOf(dataDir), null)
  const hold = { at: 5, by: 'counsel', why: 'case 7' }
  putHold(dataDir, hold)
  t.strictSame(holdOf(dataDir), hold)
  t.equal(statSync(join(dataDir, HOLD_FILE)).mode & 0o777, 0o600)
  liftHold(dataDir)
  liftHold(dataDir)
  t.equal(holdOf(dataDir), null)
})

t.test('what cannot be understood holds', async (t) => {
  const dataDir = newFolder()
  for (const text of ['', '{', 'null', '[]', '{"at":"x"}']) {
    writeFileSync(join(dataDir, HOLD_FILE), text)
    t.not(holdOf(dataDir), null, text)
  }
  rmSync(join(dataDir, HOLD_FILE))
  mkdirSync(join(dataDir, HOLD_FILE))
  t.match(holdOf(dataDir), { why: /cannot be read/ })
})
