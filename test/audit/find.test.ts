/** What the log says of one request, put together from wherever its records lie. */
import t from 'tap'
import { findDecision } from '../../src/audit/find.ts'
import { listSegments } from '../../src/audit/paths.ts'
import { type BenchLog, openBenchLog } from './bench-log.ts'
import { sampleDecision, sampleInputs, sampleOpened, sampleStream } from './samples.ts'

const HOUR_MS = 3_600_000

/** So many other requests, an hour later: each fills about one segment. */
function anHourOfOthers(log: BenchLog, count: number): void {
  for (let index = 0; index < count; index += 1) {
    log.clock.advance(HOUR_MS / count)
    log.lanes[0]!.decision(sampleDecision({ receivedAt: log.clock.wall() }), sampleInputs, () => {})
    log.lanes[0]!.flush()
    log.writer.round()
  }
}

t.test('the end of a stream is found however much later it came, and its absence is told', async (t) => {
  const log = openBenchLog({ segmentBytesMax: 600 })
  const lane = log.lanes[0]!
  const [ended, cut] = [1, 2].map(() => sampleOpened({ receivedAt: log.clock.wall() })) as [
    ReturnType<typeof sampleOpened>,
    ReturnType<typeof sampleOpened>,
  ]
  for (const opened of [ended, cut]) lane.decision(opened, { ...sampleInputs, answer: 'streamed' }, () => {})
  anHourOfOthers(log, 8)
  const waiting = await findDecision(log.dataDir, ended.id)
  t.match(waiting, { decision: { decision: { id: ended.id } }, stream: null })
  lane.stream(sampleStream(ended))
  lane.flush()
  const unsequenced = await findDecision(log.dataDir, ended.id)
  t.match(
    unsequenced,
    { stream: { stream: sampleStream(ended), place: { sequence: null } } },
    'in the journal',
  )
  anHourOfOthers(log, 3)
  lane.close()
  log.writer.finish()
  t.ok(listSegments(log.dataDir).length > 8, 'many segments lie between')
  const told = await findDecision(log.dataDir, ended.id)
  t.match(told, {
    decision: { digests: { answer: 'streamed' } },
    stream: { stream: sampleStream(ended) },
    shadows: [],
  })
  t.match(await findDecision(log.dataDir, cut.id), { decision: { decision: { id: cut.id } }, stream: null })
})

t.test('an end whose decision is in no log any more is told all the same', async (t) => {
  const log = openBenchLog()
  const gone = sampleOpened()
  log.lanes[0]!.stream(sampleStream(gone))
  log.lanes[0]!.close()
  log.writer.finish()
  t.match(await findDecision(log.dataDir, gone.id), { decision: null, stream: { stream: { id: gone.id } } })
})
