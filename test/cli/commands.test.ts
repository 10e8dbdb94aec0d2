import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { COMMANDS, runCommand } from '../../src/cli/commands.ts'
import { packageRoot, packageVersion } from '../../src/cli/package-version.ts'
import { recoveryLines } from '../../src/cli/recovery-lines.ts'

async function run(...args: string[]) {
  let out = ''
  let err = ''
  const io = {
    stdout: (text: string) => {
      out += text
    },
    stderr: (text: string) => {
      err += text
    },
    color: false,
  }
  const code = await runCommand(args, io, '1.2.3')
  return { code, out, err }
}

t.test('help lists every command; nothing said is wrong usage', async (t) => {
  const help = await run('--help')
  t.equal(help.code, 0)
  for (const { name } of COMMANDS) t.match(help.out, new RegExp(`^  ${name} `, 'm'))
  t.equal((await run()).code, 2)
  t.same(await run('--version'), { code: 0, out: 'modelgate 1.2.3\n', err: '' })
})

t.test('an unknown command is named, with the one that was probably meant', async (t) => {
  const wrong = await run('sevre')
  t.equal(wrong.code, 2)
  t.match(wrong.err, /^modelgate: there is no command 'sevre'; did you mean 'serve'\?\n/)
  t.match((await run('chek')).err, /did you mean 'check'\?/)
  t.match(
    (await run('frobnicate')).err,
    /^modelgate: there is no command 'frobnicate'\n/,
    'no far-fetched guess',
  )
})

t.test('every command has help of its own, and refuses an option it does not have', async (t) => {
  for (const { name } of COMMANDS) {
    const help = await run(name, '--help')
    t.equal(help.code, 0, name)
    t.match(help.out, new RegExp(`^Usage: modelgate ${name}`), name)
    t.equal((await run(name, '--nonsense')).code, 2, name)
  }
})

t.test('serve refuses an invalid configuration with its problems, and one that is not there', async (t) => {
  const directory = t.testdir({ 'bad.toml': '[server]\nlisen = "x"\n' })
  const bad = await run('serve', '--config', `${directory}/bad.toml`)
  t.equal(bad.code, 1)
  t.match(bad.err, /bad\.toml:2:1: error: server\.lisen/)
  t.match(bad.err, /listen/, 'the nearest key is told')
  t.equal((await run('serve', '--config', `${directory}/none.toml`)).code, 3)
})

t.test('the version is the package’s', async (t) => {
  t.match(packageVersion(), /^\d+\.\d+\.\d+/)
  t.ok(existsSync(join(packageRoot(), 'gateway.toml')), 'the root is where the package lies')
})

t.test('recovery is told in words, and an orderly end needs none', async (t) => {
  const calm = {
    ...{ journals: 0, replayed: 0, known: 0, digestsLost: 0, salvaged: 0, unknownCrash: 0, missing: 0 },
    torn: [],
  }
  t.same(recoveryLines(calm), [])
  const torn = { file: 'journal/a', kept: 'torn/a', at: 0, bytes: 7, where: 'tail' } as const
  const lines = recoveryLines({ ...calm, journals: 1, replayed: 5, digestsLost: 2, missing: 1, torn: [torn] })
  t.match(lines.join('\n'), /5 records were brought into the log \(2 digests died with it\)/)
  t.match(lines.join('\n'), /journal\/a: 7 damaged bytes \(tail\) were set aside in torn\/a/)
  t.match(lines.join('\n'), /1 records are known to be missing/)
  t.match(
    recoveryLines({ ...calm, unknownCrash: 3 }).join('\n'),
    /^3 requests were under way .*unknown_crash/,
  )
})
