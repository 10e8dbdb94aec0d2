import t from 'tap'
import { ENTRY_BYTES, type KeptAnswer, KeptAnswers } from '../../src/callers/kept-answers.ts'
import { ManualClock } from '../support/manual-clock.ts'

const answerOf = (bytes: number, more: Partial<KeptAnswer> = {}): KeptAnswer => ({
  id: 'id-1',
  keptAt: 0,
  ttlMs: 1000,
  served: 'v1',
  reason: 'primary',
  degraded: '',
  fingerprint: 'f',
  ageAtFirst: 0,
  answer: { status: 200, headers: ['content-type', 'text/plain'], body: Buffer.alloc(bytes, 'x') },
  ...more,
})

function keeping(bytesMax: number, ttlMs = 1000) {
  const clock = new ManualClock()
  const gone: [string, boolean][] = []
  const kept = new KeptAnswers({
    bytesMax,
    ttlMs,
    clock,
    onGone: (key, isEvicted) => void gone.push([key, isEvicted]),
  })
  return { clock, gone, kept }
}

t.test('an answer is kept as a copy, whatever becomes of the memory it came in', async (t) => {
  const { kept } = keeping(1024 * 1024)
  const given = answerOf(100)
  t.ok(kept.keep('a', given))
  given.answer.body.fill(0)
  const found = kept.of('a')!
  t.equal(Buffer.from(found.answer.body).toString(), 'x'.repeat(100))
  t.equal(found.answer.body.buffer.byteLength, 100, 'and holds no more memory than it needs')
})

t.test('it is gone when its time is over, by the clock that was given', async (t) => {
  const { kept, clock, gone } = keeping(1024 * 1024)
  kept.keep('a', answerOf(10))
  kept.keep('short', answerOf(10, { ttlMs: 200 }))
  clock.advance(199)
  t.ok(kept.of('short'))
  clock.advance(2)
  t.equal(kept.of('short'), undefined)
  t.ok(kept.of('a'))
  clock.advance(800)
  t.equal(kept.of('a'), undefined)
  t.same(gone, [
    ['short', false],
    ['a', false],
  ])
})

t.test(
  'bytes are bounded: the least recently used leaves first, and what can never fit is not kept',
  async (t) => {
    const room = 3 * (ENTRY_BYTES + 2000)
    const { kept, gone } = keeping(room)
    for (const key of ['a', 'b', 'c']) t.ok(kept.keep(key, answerOf(1900)))
    kept.of('a')
    kept.keep('d', answerOf(1900))
    t.same(gone, [['b', true]])
    t.same(
      ['a', 'b', 'c', 'd'].map((key) => kept.of(key) !== undefined),
      [true, false, true, true],
    )
    t.notOk(kept.keep('huge', answerOf(room)))
    t.ok(kept.of('a'), 'and pushes nothing out')
    for (let index = 0; index < 5000; index += 1) kept.keep(`k${index}`, answerOf(index % 1900))
    t.ok(kept.bytes <= room, `${kept.bytes} of ${room}`)
    t.ok(kept.size <= room / ENTRY_BYTES)
  },
)

t.test('an answer without a body takes room, too', async (t) => {
  const { kept } = keeping(64 * 1024)
  for (let index = 0; index < 1000; index += 1) kept.keep(`k${index}`, answerOf(0))
  t.ok(kept.size <= 64)
})
