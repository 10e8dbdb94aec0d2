/** `modelgate audit erase` and `audit prune`: wrong usage, and what cannot be done. The whole story is a journey. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { SubjectKeys, subjectNamed } from '../../../src/audit/capture/subject-keys.ts'
import { Digester, openDigestKey } from '../../../src/audit/digests.ts'
import { systemDisk } from '../../../src/audit/disk.ts'
import { putHold } from '../../../src/audit/hold.ts'
import { inboxOf, KEY_FILE } from '../../../src/audit/paths.ts'
import { audit } from '../../../src/cli/audit.ts'
import { openBenchLog } from '../../audit/bench-log.ts'
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

t.test('erasing needs a subject, a yes, and a log with a digest key', async (t) => {
  const dataDir = newFolder()
  t.match(await run('erase', '--data', dataDir), { code: 2, err: /--subject NAME is needed/ })
  t.match(await run('erase', '--subject', 'a', '--data', dataDir), { code: 1, err: /cannot be undone/ })
  t.equal((await run('erase', '--subject', 'a', '--yes', '--data', dataDir)).code, 3, 'no digest key')
  t.match(await run('erase', '--help'), { code: 0, out: /spare cells of flash/ })
})

t.test('what was erased and could not be put on record is told, and done again', async (t) => {
  const dataDir = newFolder()
  mkdirSync(join(dataDir, 'keys'))
  const digester = new Digester(openDigestKey(join(dataDir, KEY_FILE)))
  const subject = subjectNamed(digester, 'alice')
  new SubjectKeys(dataDir, systemDisk).keyFor(subject, 1)
  writeFileSync(inboxOf(dataDir), '')
  const erase = ['erase', '--subject', 'alice', '--yes', '--data', dataDir]
  t.match(await run(...erase), { code: 3, err: /keys destroyed: 1; but that could not be put on record/ })
  t.equal(new SubjectKeys(dataDir, systemDisk).destroy(subject.digest), 0)
})

t.test('pruning is only looked at, and a hold is told', async (t) => {
  const log = openBenchLog()
  log.lanes[0]!.close()
  log.writer.finish()
  const { dataDir } = log
  t.match(await run('prune', '--data', dataDir, '--older-than', '1d'), {
    code: 2,
    err: /--dry-run is needed/,
  })
  t.match(await run('prune', '--dry-run', '--data', dataDir), { code: 2, err: /needs --older-than/ })
  const look = ['prune', '--dry-run', '--data', dataDir, '--older-than']
  t.match(await run(...look, 'soon'), { code: 2, err: /'soon' is no time/ })
  t.match(await run(...look, '1d'), { code: 0, out: /Nothing is old enough/ })
  t.match(JSON.parse((await run(...look, '1d', '--json')).out), { isHeld: false, records: 0 })
  putHold(dataDir, { at: 1, by: 'counsel', why: '' })
  t.match(await run(...look, '1d'), { code: 1, out: /the log is held/ })
})
