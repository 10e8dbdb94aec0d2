/**
 * Captured bodies over a whole life: asked for, redacted and encrypted, shown to who may see them, erased with their
 * subject. At no time does a word of a body, or the subject's name, lie on the disk.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runCommand } from '../../src/cli/commands.ts'
import { tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { recordsIn } from '../support/read-records.ts'
import { javascriptModel, startTestGateway } from '../support/start-gateway.ts'

const CANARY = 'canary-7f3a'
const SSN = '078-05-1120'

const TOML = `
[audit.capture]
percent = 100
redact = ["/parameters/ssn"]
subject = ["header:x-user-id"]
[models.m]
key = ["header:x-user-id"]
[models.m.versions.v1]
runtime = "javascript"
file = "m.js"
[models.quiet.versions.v1]
runtime = "javascript"
file = "m.js"
[models.quiet.audit.capture]
percent = 0
`

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
  return { code: await runCommand(args, io, '0'), out, err }
}

/** Every file of the directory that holds any of the words as they are. */
function filesWith(folder: string, words: readonly string[]): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    if (statSync(path).isDirectory()) return filesWith(path, words)
    const bytes = readFileSync(path)
    return words.some((word) => bytes.includes(word)) ? [path] : []
  })
}

t.test('a captured body is on the disk only encrypted, and after erasing it cannot be read', async (t) => {
  const gateway = await startTestGateway(t, {
    files: { 'm.js': javascriptModel('row[0]') },
    toml: TOML,
  })
  const body = JSON.stringify({
    parameters: { ssn: SSN, note: CANARY },
    ...JSON.parse(tensorOf('x', [1])),
  })
  const headers = { 'x-user-id': `${CANARY}-user` }
  const told = await gateway.infer('m', body, headers)
  t.equal(told.status, 200)
  t.equal((await gateway.infer('quiet', body, headers)).status, 200)
  const id = String(told.headers['modelgate-request-id'])
  const captures = await eventually(async () => {
    const found = (await recordsIn(gateway.dataDir)).flatMap((record) =>
      record.type === 'capture' ? [record.note] : [],
    )
    return found.length >= 2 && found
  })
  t.match(captures, [
    { id, side: 'request', fate: 'kept', redacted: ['/parameters/ssn'] },
    { id, side: 'answer', fate: 'kept' },
  ])
  t.equal(captures.length, 2, 'nothing of the model that keeps no bodies')
  const metrics = await metricsOf(gateway)
  t.equal(metrics.value('modelgate_captures_total', { fate: 'kept' }), 2)
  t.strictSame(filesWith(gateway.dataDir, [CANARY, SSN]), [])

  const { dataDir } = gateway
  const asked = ['explain', id, '--data', dataDir]
  t.match(await run(...asked), {
    code: 0,
    out: /Captured\n {2}request body, \d+ B: kept, encrypted; blanked: \/parameters\/ssn/,
  })
  const shown = await run(...asked, '--payload')
  t.match(shown, { code: 0, out: CANARY })
  t.match(shown.out, '"ssn":"[redacted]"')
  const data = JSON.parse((await run(...asked, '--payload', '--json')).out)
  t.match(data.bodies, [
    { side: 'request', state: 'shown' },
    { side: 'answer', state: 'shown' },
  ])
  t.notOk(JSON.stringify(data).includes('sealed'))
  const api = (await gateway.admin(`/api/v1/decisions/${id}`)).text
  t.notOk(api.includes(CANARY) || api.includes('sealed'), 'the admin API shows no body')

  const erase = ['audit', 'erase', '--subject', `${CANARY}-user`, '--data', dataDir]
  t.match(await run(...erase), { code: 1, err: /--yes/ })
  t.equal((await run('audit', 'hold', 'on', '--data', dataDir)).code, 0)
  t.match(await run(...erase, '--yes'), { code: 1, err: /nothing was erased: the log is held/ })
  t.equal((await run('audit', 'hold', 'off', '--data', dataDir)).code, 0)
  t.match(await run(...erase, '--yes'), { code: 0, out: /The key is destroyed/ })
  t.match(await run(...asked, '--payload'), { code: 0, out: /erased: its key was destroyed/ })
  t.match(await run(...erase, '--yes'), { code: 0, out: /There was no key/ })
  const types = await eventually(async () => {
    const found = (await recordsIn(dataDir)).map(({ type }) => type as string)
    return found.filter((type) => type === 'erase').length === 2 && found
  })
  t.equal(types.filter((type) => type === 'hold').length, 2)
  t.ok(types.filter((type) => type === 'access').length >= 5)

  const again = await gateway.infer('m', body, headers)
  await gateway.stop()
  const second = String(again.headers['modelgate-request-id'])
  t.match(await run('explain', second, '--payload', '--data', dataDir), { code: 0, out: CANARY })
  t.match(await run(...asked, '--payload'), { code: 0, out: /erased/ }, 'the new key opens nothing old')
  t.strictSame(filesWith(dataDir, [CANARY, SSN]), [])
})
