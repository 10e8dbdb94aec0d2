/**
 * What the demo is made of, part by part: the replayed rows, the load, what callers saw, how progress and
 * tables look, and that a claim which does not hold is said to.
 */

import { readFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { verifyLog } from '../../src/audit/verify/verify-log.ts'
import { BreakerWatch } from '../../src/cli/demo/breaker-watch.ts'
import { checksOf } from '../../src/cli/demo/checks.ts'
import { type Evidence, gatherEvidence } from '../../src/cli/demo/evidence.ts'
import { type CallerAnswer, CONNECTIONS_MAX, Load } from '../../src/cli/demo/load.ts'
import { type Position, Progress } from '../../src/cli/demo/progress.ts'
import { replayDigits } from '../../src/cli/demo/replay-digits.ts'
import { replayFlights } from '../../src/cli/demo/replay-flights.ts'
import { cueSheet, type ReplaySet } from '../../src/cli/demo/replay-set.ts'
import {
  count,
  counted,
  left,
  milliseconds,
  right,
  share,
  tableLines,
  wrap,
} from '../../src/cli/demo/table.ts'
import { Tally } from '../../src/cli/demo/tally.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { openBenchLog } from '../audit/bench-log.ts'
import { newFolder } from '../audit/new-folder.ts'
import { sampleInputs, sampleOpened, sampleStream } from '../audit/samples.ts'
import { ManualClock } from '../support/manual-clock.ts'

const MODELS = join(process.cwd(), 'models')
const ESCAPE = '\u001b'
const ERASE = `\r${ESCAPE}[K`

async function listening(t: Test, listener: RequestListener): Promise<Server & { readonly port: number }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return Object.assign(server, { port: (server.address() as AddressInfo).port })
}

t.test('the replayed rows are the real ones, each once, with their true answers', (t) => {
  const flights = replayFlights(MODELS)
  t.equal(flights.rows, 4000)
  const first = flights.question(0)
  t.equal(first.headers['x-route'], 'MCO-IND')
  t.strictSame(JSON.parse(first.body.toString()).inputs, [
    {
      name: 'features',
      datatype: 'FP32',
      shape: [1, 7],
      data: [12.717, 3, 828, 28.429, -81.316, 39.717, -86.294],
    },
  ])
  t.equal(flights.truth(0), 0)
  t.equal(flights.truth(3), 1)
  const told = new Map([
    ['probability', [0.3]],
    ['label', [1]],
  ])
  t.strictSame(flights.read(told, 0), { label: 1, chanceOfTruth: 0.7 })
  t.strictSame(flights.read(told, 3), { label: 1, chanceOfTruth: 0.3 })
  t.equal(flights.read(new Map(), 0), null)
  t.equal(flights.question(24).headers['x-channel'], 'operations')

  const digits = replayDigits(MODELS)
  t.equal(digits.rows, 2000)
  const image = JSON.parse(digits.question(0).body.toString()).inputs[0]
  t.equal(image.data.length, 196)
  t.strictSame(image, JSON.parse(readFileSync(join(MODELS, 'digits', 'example.json'), 'utf8')).inputs[0])
  const scores = Array.from({ length: 10 }, (_, digit) => digit / 100)
  const answer = new Map([
    ['label', [3]],
    ['scores', scores],
  ])
  t.strictSame(digits.read(answer, 0), { label: 3, chanceOfTruth: digits.truth(0) / 100 })

  const cue = cueSheet([flights, digits])
  const names = Array.from({ length: 6000 }, (_, index) => cue(index)).map(
    ({ set, row }) => `${set.model} ${row}`,
  )
  t.equal(new Set(names).size, 6000)
  t.equal(names.slice(0, 300).filter((name) => name.startsWith('flights')).length, 200, 'evenly mixed')
  t.strictSame(cue(6000), cue(0), 'begins again')
  t.end()
})

t.test('a replay file that is damaged is named with its line', (t) => {
  const header = readFileSync(join(MODELS, 'flights', 'replay.csv'), 'utf8').split('\n')[0]
  const folder = (csv: string) => t.testdir({ flights: { 'replay.csv': csv } })
  t.throws(
    () => replayFlights(folder(`${header}\nx,A,B,FL,,3,8,1,1,1,1,0,0\n`)),
    /replay\.csv:2: hour is not a number/,
  )
  t.throws(() => replayFlights(folder('id,origin\n')), /replay\.csv:1: there is no column destination/)
  t.end()
})

t.test('tables are aligned, numbers are short, text is broken at blanks', (t) => {
  t.strictSame(
    tableLines(
      [left('name'), right('n')],
      [
        ['a', '1'],
        ['longer', '1,000'],
      ],
    ),
    ['name        n', 'a           1', 'longer  1,000'],
  )
  t.equal(count(1_234_567), '1,234,567')
  t.equal(counted(1, 'caller'), '1 caller')
  t.equal(share(1, 3), '33.3 %')
  t.equal(share(0, 0), '–')
  t.strictSame([0.444, 12.34, 123.4].map(milliseconds), ['0.44', '12.3', '123'])
  t.strictSame(wrap('open for 979 ms', 13), ['open for', '979 ms'], 'a number stays with its unit')
  const words = fc.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(words, fc.integer({ min: 10, max: 40 }), (list, width) => {
      const lines = wrap(list.join(' '), width)
      return lines.join(' ') === list.join(' ') && lines.every((line) => line.length <= width)
    }),
  )
  t.end()
})

const POSITION: Position = {
  phase: 'all is well',
  done: 50,
  of: 100,
  perSecond: 150,
  ok: 48,
  degraded: 2,
  failed: 0,
}

t.test('progress: a bar in place on a terminal, a line every few seconds elsewhere', (t) => {
  const written: { readonly terminal: string[]; readonly file: string[] } = { terminal: [], file: [] }
  const clock = new ManualClock()
  const bar = new Progress({
    write: (text) => void written.terminal.push(text),
    isTerminal: true,
    columns: 60,
    clock,
  })
  bar.at(POSITION)
  const drawn = written.terminal.join('')
  t.match(drawn, /^█{10}░{10} 50\/100 {2}150\/s {2}48 ok, 2 degraded/)
  t.equal(drawn.length, 59, 'never as wide as the terminal, or it would wrap')
  bar.say('Something happened.')
  const said = written.terminal.slice(1).join('')
  t.ok(said.startsWith(ERASE), 'the bar makes room')
  t.match(said, /0\.0 s.*Something happened\..*\n█/, 'said above, drawn again below')
  bar.end()
  t.equal(written.terminal.at(-1), ERASE)

  const plain = new Progress({
    write: (text) => void written.file.push(text),
    isTerminal: false,
    columns: 60,
    clock,
  })
  plain.at(POSITION)
  t.strictSame(written.file, [], 'not yet')
  clock.advance(5000)
  plain.at(POSITION)
  plain.at(POSITION)
  t.strictSame(written.file, [`${' '.repeat(9)}50/100  150/s  48 ok, 2 degraded, 0 failed  all is well\n`])
  plain.say('word '.repeat(30).trim())
  t.ok(written.file.every((line) => line.length <= 99 && !line.includes(ESCAPE)))
  t.end()
})

const SET: ReplaySet = {
  model: 'm',
  noun: 'rows',
  rows: 2,
  question: (row) => ({ model: 'm', path: `/${row}`, headers: {}, body: Buffer.from('{}') }),
  truth: (row) => row,
  read: (outputs) => ({ label: outputs.get('label')![0]!, chanceOfTruth: 0.5 }),
}

t.test('load: paced, at most so many at once, every request answered or accounted for', async (t) => {
  let most = 0
  let underWay = 0
  const server = await listening(t, (request, response) => {
    underWay += 1
    most = Math.max(most, underWay)
    setTimeout(() => {
      underWay -= 1
      if (request.url === '/1') return void request.socket.destroy()
      response.setHeader('modelgate-request-id', 'id').setHeader('modelgate-version', 'v')
      response.end('{"outputs":[{"name":"label","data":[0]}]}')
    }, 100)
  })
  const answers: CallerAnswer[] = []
  const cue = cueSheet([SET])
  const startedAt = systemClock.now()
  const load = new Load({
    ...{ host: '127.0.0.1', port: server.port, perSecond: 1000, cue, clock: systemClock },
    onAnswer: (answer) => void answers.push(answer),
  })
  await load.finish(200, 60_000)
  t.equal(answers.length, 200)
  t.ok(most <= CONNECTIONS_MAX, `${most} at once`)
  t.ok(systemClock.now() - startedAt > 199, 'no faster than asked')
  const good = answers.filter(({ status }) => status === 200)
  t.equal(good.length, 100)
  t.strictSame([good[0]!.requestId, good[0]!.version, good[0]!.outputs.get('label')], ['id', 'v', [0]])
  const lost = answers.filter(({ status }) => status === 0)
  t.equal(lost.length, 100)
  t.match(lost[0]!.problem, /ECONNRESET/)

  const tally = new Tally()
  for (const answer of answers) tally.add(answer)
  t.strictSame([tally.ok, tally.degraded, tally.failed], [100, 0, 100])
  t.strictSame(
    tally.quality().map(({ rows, right, logLoss }) => [rows, right, logLoss.toFixed(3)]),
    [[100, 100, '0.693']],
  )
  t.strictSame(tally.baselines(), [{ model: 'm', label: 0, rows: 100, accuracy: 1 }])
})

t.test('load: begins gently, never catches up in a burst, ends in time', async (t) => {
  const arrivals: number[] = []
  const server = await listening(t, (_, response) => {
    arrivals.push(systemClock.now())
    response.end('{}')
  })
  const startedAt = systemClock.now()
  const load = new Load({
    ...{ host: '127.0.0.1', port: server.port, perSecond: 400, warmUpMs: 400, cue: cueSheet([SET]) },
    ...{ clock: systemClock, onAnswer: () => {} },
  })
  await pause(450)
  const warm = arrivals.filter((at) => at < startedAt + 200).length
  t.ok(warm <= 45, `${warm} of 80 at full pace in the first half of the warm-up`)
  const before = load.sent
  while (systemClock.now() < startedAt + 900);
  await pause(20)
  t.ok(load.sent - before <= 45, `${load.sent - before} of 180 that were due while it could not send`)
  await load.finish(100_000, 100)
  t.equal(arrivals.length, load.sent, 'all were answered')
  t.ok(load.sent < 400, 'the rest is left out')
})

t.test('breaker watch: each change once, in the order it happened', async (t) => {
  const change = (from: string, to: string, at: string) => ({
    from,
    to,
    why: 'because',
    at,
    enforced: true,
  })
  const open = change('closed', 'open', '2026-01-01T00:00:00.000Z')
  const probing = change('open', 'half-open', '2026-01-01T00:00:01.000Z')
  const again = change('half-open', 'open', '2026-01-01T00:00:01.000Z')
  let changes = [open]
  const server = await listening(t, (_, response) => {
    const state = changes.at(-1)!.to
    const breaker = { model: 'm', version: 'v', state, changes: [...changes].reverse() }
    response.end(JSON.stringify({ breakers: [breaker] }))
  })
  const seen: string[] = []
  const watch = new BreakerWatch({
    ...{ admin: { host: '127.0.0.1', port: server.port }, clock: systemClock },
    signal: new AbortController().signal,
    onChange: ({ from, to }) => void seen.push(`${from} → ${to}`),
  })
  t.equal((await watch.until(0, ({ to }) => to === 'open', 20_000))?.why, 'because')
  changes = [open, probing, again]
  t.equal(await watch.until(1, ({ to }) => to === 'closed', 150), null)
  t.strictSame(seen, ['closed → open', 'open → half-open', 'half-open → open'])
  t.equal(await watch.untilClosed('m', 'v', 150), false)
  t.equal(await watch.untilClosed('m', 'another', 150), true)
  changes = [...changes, change('half-open', 'closed', '2026-01-01T00:00:02.000Z')]
  t.equal(await watch.untilClosed('m', 'v', 20_000), true)
  t.equal(watch.changes.length, 4, 'what led there is known by then')
})

t.test('a stream counts once, as what its end says', async (t) => {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  const since = log.clock.wall()
  const opened = [1, 2].map(() => sampleOpened({ receivedAt: since }))
  for (const one of opened) lane.decision(one, { ...sampleInputs, answer: 'streamed' }, () => {})
  const [whole, broken] = opened.map((one) => sampleStream(one))
  lane.stream(whole!)
  lane.stream({ ...broken!, fate: 'broken', attempt: { ...broken!.attempt, verdict: 'failure' } })
  lane.close()
  log.writer.finish()
  const receipts = opened.map(({ id }) => ({ id, status: 200, version: 'v2', degraded: '', error: '' }))
  const evidence = await gatherEvidence(log.dataDir, since, receipts)
  t.match(evidence, { decisions: 2, otherRecords: 3, sequenced: 5, missing: [], twice: [], contradicted: [] })
  t.match(evidence.roles, [{ version: 'v2', role: 'canary', attempts: 2, served: 2, failures: 1 }])
})

t.test('what does not hold is said', (t) => {
  const firstBad = { file: 'segments/1.seg', at: 7, sequence: 1, problem: 'damaged' }
  const verdict = {
    ...verifyLog(newFolder()),
    isWhole: false,
    segments: 1,
    records: 1,
    firstBad,
    badPlaces: 1,
  }
  const evidence: Evidence = {
    ...{ verdict, decisions: 1, shadowRecords: 0, otherRecords: 0, sequenced: 1, lost: 2, shadowsPlanned: 1 },
    ...{ roles: [], shadows: [], consequences: [], missing: ['lost-id'], twice: [], contradicted: [] },
  }
  const tally = new Tally()
  const spell = { name: 'slow', opened: null, closed: null, degraded: 0, failed: 0, seconds: 1 } as const
  const checks = checksOf({ sent: 2, tally, evidence, stats: [], spells: [spell] })
  t.equal(checks.length, 8)
  t.strictSame(
    checks.filter(({ ok }) => ok),
    [],
  )
  const details = checks.map(({ detail }) => detail).join('\n')
  t.match(details, 'lost-id')
  t.match(details, 'segments/1.seg, byte 7: damaged')
  t.match(details, 'it stayed closed')
  t.end()
})
