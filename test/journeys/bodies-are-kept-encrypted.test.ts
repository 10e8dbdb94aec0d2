/**
 * Captured bodies over a whole life: asked for, redacted and encrypted, shown to who may see them, erased with their
 * subject. At no time does a word of a body, or the subject's name, lie on the disk.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
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
})
