/** What the log proves, asked over the admin API and checked without it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openCheckpoint } from '../../../src/audit/tree/checkpoint.ts'
import { parseVerifierKeys } from '../../../src/audit/tree/note.ts'
import { audit } from '../../../src/cli/audit.ts'
import { checkpoint, proof } from '../../../src/control/admin/resources/proof.ts'
import { tensorOf } from '../../support/ask.ts'
import { javascriptModel, startTestGateway } from '../../support/start-gateway.ts'

t.test('a receipt leads to a proof that stands on its own, and to the record that it is of', async (t) => {
  const gateway = await startTestGateway(t, {
    files: { 'm.js': javascriptModel('row[0]') },
    toml: '[models.m]\naudit = { mode = "durable" }\n[models.m.versions.v1]\nruntime = "javascript"\nfile = "m.js"\n',
  })
  const told = await gateway.infer('m', tensorOf('x', [1]))
  const receipt = String(told.headers['modelgate-receipt'])
  const [origin, sequence] = receipt.split(';')
  const found = await gateway.admin(`/api/v1/audit/proofs/${sequence}`)
  t.match(found, { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' } })
  t.match(found.text, new RegExp(`^c2sp\\.org/tlog-proof@v1\\nextra \\S+\\nindex ${sequence}\\n`))
  const files = t.testdir({ 'x.tlog-proof': found.text })
  const said: string[] = []
  const io = {
    stdout: (words: string) => said.push(words),
    stderr: (words: string) => said.push(words),
    color: false,
  }
  const key = join(gateway.dataDir, 'keys/log.vkey')
  const args = ['verify', '--proof', `${files}/x.tlog-proof`, '--key', key, '--receipt', receipt]
  t.equal(await audit(args, io as never), 0, said.join(''))
  t.match(said.join(''), String(told.headers['modelgate-request-id']))
  const bare = await gateway.admin(`/api/v1/audit/proofs/${sequence}?record=false`)
  t.notMatch(bare.text, /^extra/m)
  const newest = await gateway.admin('/api/v1/audit/checkpoint')
  const keys = parseVerifierKeys(readFileSync(key, 'utf8'))
  if (typeof keys === 'string') throw new Error(keys)
  t.match(openCheckpoint(newest.text, keys), { origin })
  t.equal((await gateway.admin('/api/v1/audit/proofs/x')).status, 400)
  t.equal((await gateway.admin('/api/v1/audit/proofs/9999999')).status, 404)
})

t.test('a log without a checkpoint proves nothing, and says so', async (t) => {
  const dataDir = t.testdir({})
  const question = {
    parameters: new Map([['seq', '0']]),
    query: new URLSearchParams(),
    accept: '',
    client: '::1',
  }
  t.match(await checkpoint(dataDir).get(question), { status: 404 })
  const accesses: unknown[] = []
  t.match(await proof(dataDir, (access) => accesses.push(access)).get(question), { status: 404 })
  t.match(accesses, [{ action: 'GET /api/v1/audit/proofs/{seq}', asked: '0', records: 0 }])
})
