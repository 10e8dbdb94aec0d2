/** What is kept of bodies, as the configuration says it, and what it refuses. */
import t from 'tap'
import { checkConfig } from '../../../src/control/config/check-config.ts'
import type { Snapshot } from '../../../src/domain/routes.ts'
import { context } from '../../support/config-mistakes.ts'

function snapshotOf(text: string): Snapshot {
  const result = checkConfig(text, context)
  if (!result.ok) throw new Error(JSON.stringify(result.problems, null, 1))
  return result.snapshot
}

const VERSION = 'endpoints = ["http://b"]'

t.test('bodies are kept as the server says, or as the model does; redactions only add up', async (t) => {
  const { models } = snapshotOf(`[audit.capture]
percent = 10
redact = ["/a", "/b/*"]
subject = ["header:X-User-Id"]
[models.one.versions.v]
${VERSION}
[models.two.versions.v]
${VERSION}
[models.two.audit.capture]
percent = 100
redact = ["/c", "/a"]
subject = ["body:/user", "client"]
limit = "2KiB"
[models.three.versions.v]
${VERSION}
[models.three.audit.capture]
percent = 0
`)
  const subject = [{ from: 'header', name: 'x-user-id' }]
  t.strictSame(models.get('one')?.capture, { share: 0.1, redact: ['/a', '/b/*'], subject, bytesMax: 65_536 })
  t.strictSame(models.get('two')?.capture, {
    share: 1,
    redact: ['/a', '/b/*', '/c'],
    subject: [{ from: 'body', pointer: '/user' }, { from: 'client' }],
    bytesMax: 2048,
  })
  t.equal(models.get('three')?.capture, null)
  const plain = snapshotOf(`[models.m.versions.v]\n${VERSION}\n`)
  t.equal(plain.models.get('m')?.capture, null, 'off unless asked for')
})

t.test('a hold and its absence are in the snapshot', async (t) => {
  t.match(snapshotOf('[audit]\nhold = true\n').audit, { isHeld: true })
  t.match(snapshotOf('').audit, { retentionMs: null, isHeld: false })
})

t.test('chance is nobody', async (t) => {
  for (const [table, path] of [
    ['[audit.capture]', 'audit.capture.subject[0]'],
    ['[models.m.audit.capture]', 'models.m.audit.capture.subject[0]'],
  ]) {
    const result = checkConfig(`${table}\nsubject = ["random"]\n[models.m.versions.v]\n${VERSION}\n`, context)
    t.equal(result.ok, false)
    const problems = result.ok ? [] : result.problems.filter(({ severity }) => severity === 'error')
    t.match(problems, [{ path, message: /chance tells no callers apart/ }])
  }
})
