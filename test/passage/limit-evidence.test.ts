import t from 'tap'
import { type FaultCode, fault } from '../../src/domain/fault.ts'
import type { AttemptResult } from '../../src/domain/outcome.ts'
import { limitEvidence } from '../../src/passage/limit-evidence.ts'

const AT_EASE = { tookMs: 40, heldUpMs: 0 }
const HELD_UP = { tookMs: 40, heldUpMs: 41 }
const PHASES = { queueMs: -1, connectMs: 1, firstByteMs: 2, totalMs: 3 }
const answered = (status: number): AttemptResult => ({
  endpoint: 'http://h',
  phases: PHASES,
  reused: false,
  answer: { status, headers: [], body: new Uint8Array(0) },
  fault: null,
})
const failed = (code: FaultCode): AttemptResult => ({
  ...answered(200),
  answer: null,
  fault: fault(code, 'x'),
})

t.test('answers count, want of capacity shrinks, and the rest says nothing', async (t) => {
  t.equal(limitEvidence(answered(200), 'success', AT_EASE), 40)
  t.equal(limitEvidence(answered(200), 'neutral', AT_EASE), null, 'metadata')
  t.equal(limitEvidence(answered(400), 'neutral', AT_EASE), null, 'a wrong request')
  t.equal(limitEvidence(answered(429), 'neutral', AT_EASE), 'drop')
  t.equal(limitEvidence(answered(503), 'failure', AT_EASE), 'drop')
  t.equal(
    limitEvidence(answered(500), 'failure', AT_EASE),
    null,
    'an error that comes at once would look like speed',
  )
  t.equal(limitEvidence(failed('total-timeout'), 'failure', AT_EASE), 'drop')
  t.equal(limitEvidence(failed('first-byte-timeout'), 'failure', AT_EASE), 'drop')
  t.equal(limitEvidence(failed('scoring-queue-full'), 'neutral', AT_EASE), 'drop')
  t.equal(limitEvidence(failed('connect-refused'), 'failure', AT_EASE), null)
  t.equal(limitEvidence(failed('client-gone'), 'neutral', AT_EASE), null)
  t.equal(
    limitEvidence(answered(200), 'success', { tookMs: 40, heldUpMs: 30 }),
    55,
    'something between 40 and 70',
  )
  t.equal(limitEvidence(answered(200), 'success', HELD_UP), null, 'our own loop was held up meanwhile')
  t.equal(limitEvidence(failed('total-timeout'), 'failure', HELD_UP), null)
  t.equal(limitEvidence(answered(429), 'neutral', HELD_UP), 'drop', 'which does not make an endpoint refuse')
  const { answer: _, ...rest } = answered(429)
  const passed = { status: 503, headers: [], bodyBytes: 0, isOpen: false }
  t.equal(
    limitEvidence({ ...rest, answer: null, passed }, 'failure', AT_EASE),
    'drop',
    'also of what was passed on',
  )
})
