import t from 'tap'
import { fault } from '../../src/domain/fault.ts'
import { PROTOCOLS } from '../../src/protocols/index.ts'
import { raw } from '../../src/protocols/raw/index.ts'
import { makeRemoteVersion } from '../support/make-model.ts'

t.test('raw answers are passed on unseen, and nothing is added to them', async (t) => {
  const head = { status: 200, headers: ['content-type', 'text/event-stream'], bodyBytes: -1 }
  t.equal(raw.tap(head, makeRemoteVersion(1)), null)
  t.equal(raw.summarize({ status: 200, headers: [], body: Buffer.from('data: x\n\n') }), null)
  t.equal(raw.breakOff(fault('truncated-answer', 'cut')).length, 0)
  t.ok(PROTOCOLS.includes(raw))
})
