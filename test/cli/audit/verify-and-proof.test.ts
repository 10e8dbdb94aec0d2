/** `modelgate audit verify` and `modelgate audit proof` as somebody types them: what they say, and their exit codes. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { commandCosts } from '../../../native-bench/rig/command-costs.ts'
import { writeMadeLog } from '../../../scripts/make-log/write-log.ts'
import { listSegments } from '../../../src/audit/paths.ts'
import { proof } from '../../../src/cli/audit/proof.ts'
import { verify } from '../../../src/cli/audit/verify.ts'
import { newFolder } from '../../audit/new-folder.ts'
import { sealSegments } from '../../audit/verify/sealed-mutations.ts'

/** Code that is compiled, buffers, and what is not collected yet; a log of millions takes hardly more. */
const GROWTH_MIB_MAX = 16

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

/** Of every script that the command loads, where it lies. */
function scriptsOf(...args: string[]): { status: number | null; scripts: string[] } {
  const folder = newFolder()
  const { status } = spawnSync(process.execPath, [join('build', 'src', 'main.js'), ...args], {
    env: { ...process.env, NODE_V8_COVERAGE: folder },
  })
  const [file] = readdirSync(folder)
  const { result } = JSON.parse(readFileSync(join(folder, file!), 'utf8'))
  return { status, scripts: result.map(({ url }: { url: string }) => url) }
}

t.test('a check of a directory loads neither configuration nor engines', (t) => {
  const { status, scripts } = scriptsOf('audit', 'verify', '--data', dataDir)
  t.equal(status, 0)
  t.ok(scripts.some((url) => url.endsWith('/audit/verify/verify-log.js')))
  t.strictSame(
    scripts.filter((url) => /node_modules\/(?!msgpackr\/)|\/control\/|\.node$/.test(url)),
    [],
  )
  const configured = scriptsOf('audit', 'verify', '--config', 'nowhere.toml')
  t.equal(configured.status, 3)
  t.ok(
    configured.scripts.some((url) => url.includes('/node_modules/zod/')),
    'the same look finds what is loaded for a configuration',
  )
  t.end()
})

t.test('what a check needs does not grow with the log', (t) => {
  const large = newFolder()
  writeMadeLog(large, { records: 60_000, days: 2, models: 2, segmentBytesMax: 1024 * 1024 })
  const asked = ['audit', 'verify', '--data']
  const little = commandCosts([...asked, dataDir])
  const plain = commandCosts([...asked, large])
  sealSegments(large, 1)
  const sealed = commandCosts([...asked, large])
  for (const { status, maxRssMiB } of [plain, sealed]) {
    t.equal(status, 0)
    t.ok(
      maxRssMiB < little.maxRssMiB + GROWTH_MIB_MAX,
      `${maxRssMiB} MiB, and ${little.maxRssMiB} of a small log`,
    )
  }
  t.end()
})
