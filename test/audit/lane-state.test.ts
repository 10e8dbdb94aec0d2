/** What lane and writer tell each other: exact to 2^53 − 1, and never half of one turn and half of another. */
import { once } from 'node:events'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import fc from 'fast-check'
import t from 'tap'
import { LANE_STATE_BYTES, type LanePosition, LaneState } from '../../src/audit/lane-state.ts'

/** How many changes the reader has to see; where both threads get time, thousands of turns go by meanwhile. */
const SEEN_MIN = 1_000
/** Beyond 32 bits in both directions, so that both words of each number change. */
const positionOf = (turn: number): LanePosition => ({
  file: turn,
  offset: turn * 3,
  lastSequence: turn * 0x1_0000_0001,
  records: turn * 5,
  bytes: turn * 0x8000_0001,
  lost: turn * 7,
  digestsLost: turn,
  durable: turn * 11,
})

const PAUSE_EVERY = 200

interface Shared {
  readonly memory: SharedArrayBuffer
  /** Set by the reader, when it has seen enough. */
  readonly enough: Int32Array
}

function publish({ memory, enough }: Shared): void {
  const state = new LaneState(memory)
  for (let turn = 1; Atomics.load(enough, 0) === 0; turn += 1) {
    state.publish(positionOf(turn))
    state.setSequenced(turn * 0x1_0000_0001, turn)
    // Where both have one core, the reader gets its turn; the numbers stay below 2^53.
    if (turn % PAUSE_EVERY === 0) Atomics.wait(enough, 0, 0, 0.1)
  }
}

if (!isMainThread) publish(workerData as Shared)
else {
  t.test('numbers come back as they were published', async (t) => {
    const count = fc.maxSafeNat()
    const fields = { file: count, offset: count, lastSequence: count, records: count }
    const position = fc.record({ ...fields, bytes: count, lost: count, digestsLost: count, durable: count })
    fc.assert(
      fc.property(position, count, count, (published, records, bytes) => {
        const state = new LaneState(new SharedArrayBuffer(LANE_STATE_BYTES))
        const before = state.version
        state.publish(published)
        state.setSequenced(records, bytes)
        t.not(state.version, before)
        t.strictSame(state.position(), { ...published })
        t.strictSame([state.sequencedRecords, state.syncedBytes], [records, bytes])
      }),
      { numRuns: 50 },
    )
  })

  t.test('a reader on another thread sees whole turns only, and only forward', async (t) => {
    const memory = new SharedArrayBuffer(LANE_STATE_BYTES)
    const state = new LaneState(memory)
    const enough = new Int32Array(new SharedArrayBuffer(4))
    const thread = new Worker(new URL(import.meta.url), { workerData: { memory, enough } satisfies Shared })
    const ended = once(thread, 'exit')
    let torn = 0
    let backward = 0
    let turns = 0
    for (let last = 0, sequenced = 0; turns < SEEN_MIN; ) {
      const seen = state.position()
      const expected = positionOf(seen.file)
      const isWhole = Object.entries(seen).every(([name, value]) => expected[name as 'file'] === value)
      if (!isWhole) torn += 1
      const now = state.sequencedRecords
      if (seen.file < last || now < sequenced || now % 0x1_0000_0001 !== 0) backward += 1
      if (seen.file !== last) turns += 1
      last = seen.file
      sequenced = now
      if (last === 0) await new Promise(setImmediate)
    }
    Atomics.store(enough, 0, 1)
    await ended
    t.strictSame([torn, backward], [0, 0])
  })
}
