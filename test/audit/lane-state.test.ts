/** What lane and writer tell each other: exact to 2^53 − 1, and never half of one turn and half of another. */
import { once } from 'node:events'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import fc from 'fast-check'
import t from 'tap'
import { LANE_STATE_BYTES, type LanePosition, LaneState } from '../../src/audit/lane-state.ts'

const TURNS = 200_000
/** Beyond 32 bits in both directions, so that both words of each number change. */
const positionOf = (turn: number): LanePosition => ({
  file: turn,
  offset: turn * 3,
  lastSequence: turn * 0x1_0000_0001,
  records: turn * 5,
  bytes: turn * 0x8000_0001,
  lost: turn * 7,
  digestsLost: turn,
})

function publishAll(memory: SharedArrayBuffer): void {
  const state = new LaneState(memory)
  for (let turn = 1; turn <= TURNS; turn += 1) {
    state.publish(positionOf(turn))
    state.setSequenced(turn * 0x1_0000_0001, turn)
  }
}

if (!isMainThread) publishAll(workerData as SharedArrayBuffer)
else {
  t.test('numbers come back as they were published', async (t) => {
    const count = fc.maxSafeNat()
    const fields = { file: count, offset: count, lastSequence: count, records: count }
    const position = fc.record({ ...fields, bytes: count, lost: count, digestsLost: count })
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
    const thread = new Worker(new URL(import.meta.url), { workerData: memory })
    const ended = once(thread, 'exit')
    let torn = 0
    let backward = 0
    let turns = 0
    for (let last = 0, sequenced = 0; last < TURNS; ) {
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
    await ended
    t.strictSame([torn, backward], [0, 0])
    t.ok(turns > 100, `${turns} turns seen while they changed`)
  })
}
