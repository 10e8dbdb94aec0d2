/** `modelgate audit note` and `audit hold`: what they leave for the gateway, what they print, how they exit. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { holdOf } from '../../../src/audit/hold.ts'
import { HOLD_FILE, inboxOf } from '../../../src/audit/paths.ts'
import { audit } from '../../../src/cli/audit.ts'
import { newFolder } from '../../audit/new-folder.ts'

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', '']
  const io = {
    stdout: (text: string) => {
      out += text
    },
    stderr: (text: string) => {
      err += text
    },
    color: false,
  }
  return { code: await audit(args, io), out, err }
}

const left = (dataDir: string) =>
  readdirSync(inboxOf(dataDir))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(inboxOf(dataDir), name), 'utf8')))

t.test('words are left for the log with who said them', async (t) => {
  const dataDir = newFolder()
  const { code, out } = await run('note', 'v3 is suspect, see ticket 12', '--by', 'Ada', '--data', dataDir)
  t.equal(code, 0)
  t.match(out, 'records it within a second')
  t.match(left(dataDir), [
    { type: 'note', note: { words: 'v3 is suspect, see ticket 12', by: /^Ada, as .*uid \d+\)?$/ } },
  ])
  const told = await run('note', 'again', '--json', '--data', dataDir)
  t.equal(JSON.parse(told.out).words, 'again')
})

t.test('a note without words, with too many, or for no log is told', async (t) => {
  const dataDir = newFolder()
  t.equal((await run('note', '--data', dataDir)).code, 2)
  t.equal((await run('note', 'two', 'words', '--data', dataDir)).code, 2)
  t.match(await run('note', 'x'.repeat(4001), '--data', dataDir), { code: 2, err: /4001 characters/ })
  t.equal((await run('note', 'x', '--data', join(dataDir, 'nowhere'))).code, 3)
  t.match(await run('note', '--help'), { code: 0, out: /Usage: modelgate audit note/ })
  writeFileSync(inboxOf(dataDir), '')
  t.match(await run('note', 'x', '--data', dataDir), { code: 3, err: /nothing was left/ })
})

t.test('a hold binds at once, is on record, and ends the same way', async (t) => {
  const dataDir = newFolder()
  t.match(await run('hold', '--data', dataDir), { code: 1, out: /The log is not held/ })
  const held = await run('hold', 'on', '--why', 'case 7', '--by', 'Counsel', '--data', dataDir)
  t.match(held, { code: 0, out: /The log is held since .* by Counsel, as .*: case 7/ })
  t.match(holdOf(dataDir), { why: 'case 7' })
  t.match(await run('hold', 'on', '--data', dataDir), { code: 0, out: /case 7/ }, 'it is held already')
  t.match(JSON.parse((await run('hold', '--json', '--data', dataDir)).out), { isOn: true })
  t.equal((await run('hold', 'off', '--data', dataDir)).code, 0)
  t.equal(holdOf(dataDir), null)
  t.match(left(dataDir), [
    { type: 'hold', note: { isOn: true, words: 'case 7' } },
    { type: 'hold', note: { isOn: false } },
  ])
  t.equal((await run('hold', 'maybe', '--data', dataDir)).code, 2)
})

t.test(
  'what cannot be put on record: a hold binds all the same, and lifting it does not happen',
  async (t) => {
    const dataDir = newFolder()
    writeFileSync(inboxOf(dataDir), '')
    t.match(await run('hold', 'on', '--data', dataDir), { code: 3, err: /is held, but/ })
    t.match(await run('hold', 'off', '--data', dataDir), { code: 3, err: /still held/ })
    t.not(holdOf(dataDir), null)
    rmSync(inboxOf(dataDir))
    t.equal((await run('hold', 'off', '--data', dataDir)).code, 0)
  },
)

t.test('a hold whose file is damaged holds', async (t) => {
  const dataDir = newFolder()
  writeFileSync(join(dataDir, HOLD_FILE), 'x')
  t.match(holdOf(dataDir), { why: /cannot be read/ })
  t.match(await run('hold', '--data', dataDir), { code: 0, out: /cannot be read/ })
})
