/** How sure records are before answers leave: the server's word, a model's own, and the strictest of all. */
import t from 'tap'
import { checkConfig } from '../../../src/control/config/check-config.ts'
import { context } from '../../support/config-mistakes.ts'

const ENDPOINTS = 'endpoints = ["http://a"]\n'

function modesOf(server: string, own: string) {
  const text = `[audit]\nmode = "${server}"\n[models.plain.versions.v1]\n${ENDPOINTS}[models.own.versions.v1]\n${ENDPOINTS}[models.own.audit]\n${own}`
  const result = checkConfig(text, context)
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  const { audit, models } = result.snapshot
  return [audit.mode, audit.strictest, models.get('plain')!.auditMode, models.get('own')!.auditMode]
}

t.test('each model has its own mode or the server’s, and the strictest of them is known', async (t) => {
  t.same(modesOf('batched', 'mode = "durable"\n'), ['batched', 'durable', 'batched', 'durable'])
  t.same(modesOf('durable', 'mode = "best-effort"\n'), ['durable', 'durable', 'durable', 'best-effort'])
  t.same(modesOf('best-effort', 'mode = "batched"\n'), ['best-effort', 'batched', 'best-effort', 'batched'])
  t.same(modesOf('best-effort', ''), ['best-effort', 'best-effort', 'best-effort', 'best-effort'])
})
