/** `modelgate audit verify` and `modelgate audit proof` as somebody types them: what they say, and their exit codes. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { writeMadeLog } from '../../../scripts/make-log/write-log.ts'
import { listSegments } from '../../../src/audit/paths.ts'
import { proof } from '../../../src/cli/audit/proof.ts'
import { verify } from '../../../src/cli/audit/verify.ts'
import { newFolder } from '../../audit/new-folder.ts'

const dataDir = newFolder()
writeMadeLog(dataDir, { records: 400, days: 5, models: 2 })
const key = join(dataDir, 'keys', 'log.vkey')

async function run(command: typeof verify, ...args: string[]) {
  let [out, told] = ['', '']
  const io = {
    stdout: (text: string) => (out += text),
    stderr: (text: string) => (told += text),
    color: false,
  }
  const code = await command(args, io as never)
  return { code, out, told }
}

t.test('a whole log is said to be whole, in words and as data, and the asking is on record', async (t) => {
  const said = await run(verify, '--data', dataDir)
  t.match(said, { code: 0, out: /integrity +WHOLE[\s\S]*completeness +COMPLETE/ })
  t.match(JSON.parse((await run(verify, '--data', dataDir, '--json', '--key', key)).out), {
    isWhole: true,
    records: 400,
    checkpoint: { isPinned: true },
    types: { key: 1 },
  })
  t.ok(existsSync(join(dataDir, 'inbox')))
})

t.test('a proof is written, and proven elsewhere', async (t) => {
  const file = join(newFolder(), 'one.tlog-proof')
  t.match(await run(proof, '77', '--data', dataDir, '--out', file), { code: 0, out: '' })
  t.match(await run(verify, '--proof', file, '--key', key), { code: 0, out: /PROVEN: record 77/ })
  const { leaf, origin } = JSON.parse((await run(verify, '--proof', file, '--key', key, '--json')).out)
  const receipt = `${origin};77;${leaf}`
  t.match(await run(verify, '--proof', file, '--key', key, '--receipt', receipt), { code: 0 })
  const wrong = `${origin};78;${leaf}`
  t.match(await run(verify, '--proof', file, '--key', key, '--receipt', wrong), {
    code: 1,
    out: /NOT PROVEN/,
  })
  t.match(await run(proof, '77', '--data', dataDir, '--out', file), { code: 3, told: /EEXIST/ })
  t.match((await run(proof, '77', '--data', dataDir)).out, readFileSync(file, 'utf8'))
  t.match(await run(proof, '9999', '--data', dataDir), { code: 1, told: /no record 9999/ })
})

t.test('damage is exit code 1, and the first bad place is named', async (t) => {
  const damaged = newFolder()
  writeMadeLog(damaged, { records: 400, days: 5, models: 2 })
  const [first] = listSegments(damaged)
  const bytes = readFileSync(first!.path)
  bytes[2000] = bytes[2000]! ^ 4
  writeFileSync(first!.path, bytes)
  t.match(await run(verify, '--data', damaged), {
    code: 1,
    out: /BROKEN in \d+ places?; the first:\n {2}segments\/000000000000\.seg, record \d+, byte \d+/,
  })
})

t.test('what is asked wrongly is told before anything is read', async (t) => {
  t.match(await run(verify, '--proof', 'x'), { code: 2, told: /--proof needs --key/ })
  t.match(await run(verify, '--receipt', 'x'), { code: 2, told: /belong to --proof/ })
  t.match(await run(verify, '--from', '-1'), { code: 2 })
  t.match(await run(verify, '--from', '5', '--to', '4'), { code: 2, told: /behind/ })
  t.match(await run(proof, 'x'), { code: 2, told: /exactly one sequence/ })
  t.match(await run(verify, '--data', join(dataDir, 'nowhere')), { code: 3 })
  t.match(await run(verify, '--data', dataDir, '--key', join(dataDir, 'checkpoint')), {
    code: 3,
    told: /line 1/,
  })
  t.match(await run(verify, '--data', dataDir, '--witness', key), { code: 3, told: /no signed checkpoint/ })
  t.match(await run(verify, '--help'), { code: 0, out: /Usage/ })
  t.match(await run(proof, '--help'), { code: 0, out: /Usage/ })
})
