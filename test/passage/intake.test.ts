import t from 'tap'
import type { AnswerHead } from '../../src/domain/outcome.ts'
import { GatheredBytes } from '../../src/kernel/gathered-bytes.ts'
import { MemoryBudget, MemoryClaim } from '../../src/kernel/memory-budget.ts'
import { Sweep } from '../../src/kernel/sweep.ts'
import { FLOW_BYTES_MAX, HELD_BYTES_MAX, holdOrPass } from '../../src/passage/hold-or-pass.ts'
import { Intake, type IntakeEnd, type IntakeParts } from '../../src/passage/intake.ts'
import { EventEdge } from '../../src/passage/keep-alive.ts'
import { openInference } from '../../src/protocols/open-inference/index.ts'
import { raw } from '../../src/protocols/raw/index.ts'
import { makeRemoteVersion } from '../support/make-model.ts'
import { ManualClock } from '../support/manual-clock.ts'

const EVENTS = ['content-type', 'text/event-stream; charset=utf-8']
const JSON_TYPE = ['content-type', 'application/json']
const headOf = (headers: readonly string[], bodyBytes = -1, status = 200): AnswerHead => ({
  status,
  headers,
  bodyBytes,
})
const RESULT = {
  endpoint: 'http://x',
  phases: { queueMs: 0, connectMs: 0, firstByteMs: 1, totalMs: 2 },
  reused: false,
  answer: null,
  fault: null,
}

/** An intake, what it passed on, and how it ended. */
function stage(more: Partial<IntakeParts> = {}) {
  const clock = new ManualClock()
  const sweep = new Sweep(clock)
  const passed = new GatheredBytes(1e9)
  passed.begin(-1)
  const opened: AnswerHead[] = []
  const ends: IntakeEnd[] = []
  const intake = new Intake({
    version: makeRemoteVersion(1),
    protocol: raw,
    method: 'POST',
    isChecked: () => false,
    keepBytesMax: 0,
    keepAliveMs: 0,
    claim: new MemoryClaim(new MemoryBudget(1e9)),
    clock,
    sweep,
    open: (head) => {
      opened.push(head)
      return { write: (bytes) => passed.append(bytes, 0, bytes.length) }
    },
    done: (end) => ends.push(end),
    broke: (bug) => {
      throw bug
    },
    ...more,
  })
  const tick = (ms: number) => {
    clock.advance(ms)
    sweep.run()
  }
  return { intake, opened, ends, sweep, tick, text: () => Buffer.from(passed.take()).toString() }
}

t.test('the head alone tells whether an answer is held, flows or is passed on', async (t) => {
  const facts = { method: 'POST', isLookedInto: false, answersWhole: true }
  const cases: [string, AnswerHead, Partial<typeof facts>, string][] = [
    ['a small document', headOf(JSON_TYPE, 10), {}, 'hold'],
    ['the largest held', headOf(JSON_TYPE, HELD_BYTES_MAX), {}, 'hold'],
    ['one byte more', headOf(JSON_TYPE, HELD_BYTES_MAX + 1), {}, 'pass'],
    ['large, but to be looked into', headOf(JSON_TYPE, 1e7), { isLookedInto: true }, 'hold'],
    ['a document of unknown length', headOf(JSON_TYPE), {}, 'flow'],
    ['anything of unknown length', headOf(JSON_TYPE), { answersWhole: false }, 'pass'],
    ['events', headOf(EVENTS), {}, 'pass'],
    ['events, which nobody can look into', headOf(EVENTS), { isLookedInto: true }, 'pass'],
    ['an error, which may be replaced', headOf(EVENTS, -1, 500), {}, 'hold'],
    ['a refusal', headOf(EVENTS, -1, 429), {}, 'pass'],
    ['an answer to HEAD', headOf(EVENTS), { method: 'HEAD' }, 'hold'],
    ['no body', headOf(EVENTS, 0), {}, 'hold'],
  ]
  for (const [name, head, more, manner] of cases)
    t.equal(holdOrPass(head, { ...facts, ...more }), manner, name)
})

t.test(
  'a document of unknown length is held as far as that goes, then passed on without a gap',
  async (t) => {
    const held = stage({ protocol: openInference })
    held.intake.head(headOf(JSON_TYPE))
    held.intake.body(Buffer.from('{"a":1}'))
    held.intake.done(RESULT)
    t.equal(Buffer.from(held.ends[0]!.result.answer!.body).toString(), '{"a":1}')
    t.equal(held.opened.length, 0)

    const flowing = stage({ protocol: openInference })
    flowing.intake.head(headOf(JSON_TYPE))
    flowing.intake.body(Buffer.alloc(FLOW_BYTES_MAX, 'a'))
    t.equal(flowing.opened.length, 0, 'held to the last byte of the limit')
    flowing.intake.body(Buffer.from('bc'))
    t.equal(flowing.opened.length, 1)
    flowing.intake.body(Buffer.from('d'))
    flowing.intake.done(RESULT)
    t.equal(flowing.text(), `${'a'.repeat(FLOW_BYTES_MAX)}bcd`)
    t.match(flowing.ends[0], {
      result: { answer: null, passed: { bodyBytes: FLOW_BYTES_MAX + 3, isOpen: false } },
    })
  },
)

t.test(
  'events are passed on from the first; before it the attempt may still fail like any other',
  async (t) => {
    const { intake, opened, ends } = stage()
    intake.head(headOf(EVENTS))
    t.equal(opened.length, 0)
    intake.done({
      ...RESULT,
      fault: { kind: 'fault', code: 'first-byte-timeout', message: '', detail: '', headers: [] },
    })
    t.match(ends, [{ result: { fault: { code: 'first-byte-timeout' }, answer: null } }])
    t.notOk('passed' in ends[0]!.result)

    const empty = stage()
    empty.intake.head(headOf(EVENTS))
    empty.intake.done(RESULT)
    t.match(
      empty.ends,
      [{ result: { answer: { status: 200, body: { length: 0 } } } }],
      'a stream of no events',
    )
  },
)

t.test(
  'of an answer that is passed on a copy is kept up to its limit, and only of a complete one',
  async (t) => {
    const run = (bytes: number, fault: typeof RESULT.fault | object = null) => {
      const { intake, ends } = stage({ keepBytesMax: 10 })
      intake.head(headOf(['content-type', 'text/plain']))
      intake.body(Buffer.alloc(bytes, 'x'))
      intake.done({ ...RESULT, fault: fault as null })
      return ends[0]!.copy?.body.length
    }
    t.equal(run(10), 10)
    t.equal(run(11), undefined)
    t.equal(run(5, { kind: 'fault', code: 'truncated-answer' }), undefined)
  },
)

t.test('comments keep a waiting caller company until the first bytes, and between events only', async (t) => {
  const { intake, opened, tick, text, sweep } = stage({ keepAliveMs: 1000 })
  intake.head(headOf(EVENTS))
  tick(999)
  t.equal(opened.length, 0)
  tick(1)
  t.equal(opened.length, 1, 'the head leaves with the first comment')
  tick(1000)
  intake.body(Buffer.from('data: half'))
  tick(5000)
  intake.body(Buffer.from(' done\n\n'))
  tick(5000)
  intake.done(RESULT)
  t.equal(text(), ': keep-alive\n\n: keep-alive\n\ndata: half done\n\n')
  t.equal(sweep.size, 0, 'nothing is left watching')

  for (const [name, head] of [
    ['a compressed one', headOf([...EVENTS, 'content-encoding', 'gzip'])],
    ['one of announced length', headOf(EVENTS, 100)],
    ['no events', headOf(['content-type', 'text/plain'])],
  ] as const) {
    const other = stage({ keepAliveMs: 1000 })
    other.intake.head(head)
    other.tick(3000)
    t.equal(other.text(), '', name)
  }

  const left = stage({ keepAliveMs: 1000 })
  left.intake.head(headOf(EVENTS))
  left.intake.stop()
  left.tick(3000)
  t.equal(left.text(), '', 'nobody waits any more')
})

t.test('an event ends with an empty line, however lines end and however the bytes are cut', async (t) => {
  const atEnd = (text: string, pieceBytes: number) => {
    const edge = new EventEdge()
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; at += pieceBytes) edge.follow(bytes.subarray(at, at + pieceBytes))
    return edge.isAt
  }
  for (const pieceBytes of [1, 2, 3, 5, 100]) {
    for (const text of ['', 'data: x\n\n', 'data: x\r\n\r\n', 'data: x\r\r', '\n\n', 'data: x\n\n\n'])
      t.ok(atEnd(text, pieceBytes), JSON.stringify(text) + pieceBytes)
    for (const text of ['data: x\n', 'data: x\r\n', 'data: x', 'data: x\n\nd', 'data: x\n\ndata: y\n'])
      t.notOk(atEnd(text, pieceBytes), JSON.stringify(text) + pieceBytes)
  }
})
