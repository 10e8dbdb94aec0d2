/** A version that does not load: the operator is told why, callers and probes only that it is so. */
import t from 'tap'
import { startTestGateway } from '../support/start-gateway.ts'

const TOML = `
[models.m.versions.broken]
runtime = "javascript"
file = "broken.mjs"
[models.m.route]
primary = "broken"
`

t.test('at the start the operator reads what is wrong with the file, /readyz keeps to itself', async (t) => {
  const gateway = await startTestGateway(t, { toml: TOML, files: { 'broken.mjs': 'export function (' } })
  t.equal(gateway.log.length, 1, 'told once, however many lanes there are')
  t.match(
    gateway.log[0],
    /^version 'broken' of model 'm' is not loaded: broken\.mjs is not a model that javascript can load: .*SyntaxError/,
  )
  const { status, text } = await gateway.admin('/readyz?verbose')
  t.equal(status, 503)
  t.match(text, /\[-\] model m: .*is not a model that javascript can load\n/)
  t.notMatch(text, /SyntaxError/)
})
