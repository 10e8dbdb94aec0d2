/** The small pieces of a chunked body: how many are handed over, and that none is lost or changed. */
import { Buffer } from 'node:buffer'
import t from 'tap'
import { BodyRun, MOVED_BYTES_MAX, PIECES_APART_MAX } from '../../src/forward/body-run.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import { Carrier, POST, TIMEOUTS, versionOf } from './carry.ts'

/** What is handed over of pieces that lie two bytes apart, as text. */
function handedOver(run: BodyRun, pieces: readonly string[]): string[] {
  const buffer = Buffer.from(pieces.join('\r\n'), 'latin1')
  const told: string[] = []
  const handOver = (): void => {
    told.push(buffer.toString('latin1', run.start, run.end))
    run.clear()
  }
  run.begin()
  let at = 0
  for (const { length } of pieces) {
    if (!run.add(buffer, at, at + length)) {
      handOver()
      run.add(buffer, at, at + length)
    }
    at += length + 2
  }
  if (!run.isEmpty) handOver()
  return told
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `<${index}>`)

t.test('a few pieces of one read stay apart', async (t) => {
  const run = new BodyRun()
  const pieces = numbered(PIECES_APART_MAX)
  for (const round of ['one read', 'the next']) t.same(handedOver(run, pieces), pieces, round)
})

t.test('of many, those behind the first are handed over as one, byte for byte', async (t) => {
  const pieces = numbered(10_000)
  const told = handedOver(new BodyRun(), pieces)
  t.equal(told.length, PIECES_APART_MAX)
  t.same(told.slice(0, -1), pieces.slice(0, PIECES_APART_MAX - 1))
  t.equal(told.join(''), pieces.join(''))
})

t.test('a large piece is not moved, whatever is before and behind it', async (t) => {
  const large = 'x'.repeat(MOVED_BYTES_MAX + 1)
  const pieces = [...numbered(PIECES_APART_MAX), large, ...numbered(10), large, large]
  const told = handedOver(new BodyRun(), pieces)
  t.equal(told.join(''), pieces.join(''))
  t.same(told.slice(PIECES_APART_MAX), [`${large}${numbered(10).join('')}`, large, large])
})

t.test('a flood of chunks reaches its receiver whole, in few pieces', async (t) => {
  const COUNT = 100_000
  const upstream = await ScriptedUpstream.start(async (connection) => {
    await connection.request()
    const chunks = Array.from({ length: COUNT }, (_, index) => `1\r\n${index % 10}\r\n`).join('')
    connection.send(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`)
  })
  const carry = new Carrier()
  t.teardown(async () => {
    carry.close()
    await upstream.close()
  })
  let text = ''
  let pieces = 0
  await new Promise<void>((done) => {
    carry.forwarder.send(
      versionOf(upstream.endpoint),
      POST,
      { timeouts: TIMEOUTS, deadlineAt: Number.POSITIVE_INFINITY },
      {
        bodyBytesMax: COUNT,
        awaitsContent: false,
        head: () => {},
        body: (bytes) => {
          pieces += 1
          text += Buffer.from(bytes).toString('latin1')
          return true
        },
        done: () => done(),
      },
    )
  })
  t.equal(text, '0123456789'.repeat(COUNT / 10))
  t.ok(pieces < COUNT / 10, `${pieces} pieces`)
})
