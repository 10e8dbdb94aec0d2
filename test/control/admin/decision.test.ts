import t from 'tap'
import { decision } from '../../../src/control/admin/resources/decision.ts'
import { tensorOf } from '../../support/ask.ts'
import { javascriptModel, startTestGateway } from '../../support/start-gateway.ts'

const asked = (id: string) => ({
  parameters: new Map([['id', id]]),
  query: new URLSearchParams(),
  accept: '',
})

t.test('a decision is found by its id, told as data, and refused when it cannot be one', async (t) => {
  const gateway = await startTestGateway(t, {
    files: { 'm.js': javascriptModel('row[0]') },
    toml: '[models.m.versions.v1]\nruntime = "javascript"\nfile = "m.js"\n',
  })
  const told = await gateway.infer('m', tensorOf('x', [1]))
  const id = String(told.headers['modelgate-request-id'])
  const found = await gateway.admin(`/api/v1/decisions/${id}`)
  t.equal(found.status, 200)
  t.match(found.json(), { id, decision: { decision: { id, status: 200 } } })
  t.equal((await gateway.admin('/api/v1/decisions/00000000-0000-7000-8000-000000000000')).status, 404)
  t.equal((await gateway.admin('/api/v1/decisions/nonsense')).status, 400)
  const resource = decision(gateway.dataDir)
  const reply = await resource.get(asked(id))
  t.match(String(reply.body), id)
})
