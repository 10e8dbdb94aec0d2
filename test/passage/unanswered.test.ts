import t from 'tap'
import { tookMs } from '../../src/passage/unanswered.ts'

const held = {
  endpoint: 'http://x',
  phases: { queueMs: 0, connectMs: 0, firstByteMs: 40, totalMs: 90 },
  reused: false,
  answer: null,
  fault: null,
}
const passed = { ...held, passed: { status: 200, headers: [], bodyBytes: 5, isOpen: false } }

t.test(
  'the breaker is told how long a version let its caller wait, without what the gateway’s own loop took',
  async (t) => {
    t.equal(tookMs(held, 100, 0), 100, 'a held answer: until its end')
    t.equal(tookMs(passed, 100, 0), 40, 'one passed on: until its first content')
    t.equal(tookMs(held, 100, 70), 30)
    t.equal(tookMs(passed, 100, 70), 0, 'never less than nothing')
  },
)
