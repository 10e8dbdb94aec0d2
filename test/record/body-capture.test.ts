/** Which requests' bodies are handed over: those of models that ask for it, chosen by id, while the lane is well. */
import t from 'tap'
import type { Captured, Capturer } from '../../src/audit/capture/capturer.ts'
import type { Exchange } from '../../src/domain/exchange.ts'
import type { PressureLevel } from '../../src/domain/pressure.ts'
import type { CaptureSettings } from '../../src/domain/routes.ts'
import { BodyCapture } from '../../src/record/body-capture.ts'
import { makeIntent, makeModel } from '../support/make-model.ts'

const SETTINGS: CaptureSettings = { share: 0.5, redact: ['/a'], subject: [], bytesMax: 100 }

function openCapture(level: PressureLevel = 0) {
  const offered: Captured[] = []
  let dropped = 0
  const capturer = {
    isChosen: (id: string, share: number) => id === 'chosen' && share === 0.5,
    drop: () => {
      dropped += 1
    },
    offer: (captured: Captured) => offered.push(captured),
  } as unknown as Capturer
  return { capture: new BodyCapture({ capturer, pressure: () => level }), offered, dropped: () => dropped }
}

function exchange(more: Partial<Exchange> = {}): Exchange {
  const model = makeModel({ capture: SETTINGS })
  const answer = { status: 200, headers: ['content-type', 'application/json'], body: Buffer.from('{}') }
  return {
    id: 'chosen',
    receivedAt: 7,
    model,
    intent: makeIntent(model, { subject: 'alice', jsonLength: 3 }),
    requestBody: Buffer.from('[1]BIN'),
    answer,
    passed: null,
    ...more,
  } as Exchange
}

t.test('a chosen request is handed over with its subject and where its JSON ends', async (t) => {
  const { capture, offered } = openCapture()
  capture.take(exchange())
  t.match(offered, [
    { id: 'chosen', at: 7, model: 'fraud', subject: 'alice', request: { json: 3 }, answer: { json: -1 } },
  ])
  const binary = ['inference-header-content-length', '2']
  const answer = { status: 200, headers: binary, body: Buffer.from('{}BIN') }
  capture.take(exchange({ answer }))
  t.match(offered[1], { answer: { json: 2 } })
  const bent = { ...answer, headers: ['inference-header-content-length', '99'] }
  capture.take(exchange({ answer: bent }))
  t.match(offered[2], { answer: { json: -1 } }, 'a length that cannot be is none')
})

t.test('an answer that was passed on was held nowhere, and one that was never given is none', async (t) => {
  const { capture, offered } = openCapture()
  capture.take(exchange({ answer: null, passed: {} as Exchange['passed'] }))
  capture.take(exchange({ answer: null }))
  t.equal(offered[0]!.answer, 'streamed')
  t.equal(offered[1]!.answer, null)
})

t.test('nothing of others: not chosen, not understood, not asked for', async (t) => {
  const { capture, offered, dropped } = openCapture()
  capture.take(exchange({ id: 'another' }))
  capture.take(exchange({ intent: null }))
  capture.take(exchange({ model: null }))
  capture.take(exchange({ model: makeModel() }))
  t.strictSame([offered.length, dropped()], [0, 0])
})

t.test('under pressure captures are the first to go, and are counted', async (t) => {
  const { capture, offered, dropped } = openCapture(1)
  capture.take(exchange())
  t.strictSame([offered.length, dropped()], [0, 1])
})
