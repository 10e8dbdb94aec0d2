/** To which of two servers the entrance hands connections, by what their lanes say of themselves. */
import t from 'tap'
import { ConnectionCounts } from '../../src/accept/connection-counts.ts'
import { Entrance, STILL_AFTER_MS } from '../../src/accept/entrance.ts'
import { loadUws } from '../../src/accept/load-uws.ts'
import type { ServerDescriptor } from '../../src/domain/lane-server.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { RawClient } from '../support/raw-client.ts'

const loaded = await loadUws(4096)
if (loaded.kind === 'problem') throw new Error(loaded.message)
const { uws } = loaded

/** Two servers that tell which they are; connections to them are counted by whoever tests. */
async function twoLanes(t: { teardown(end: () => void): void }) {
  const servers = ['a', 'b'].map((name) => {
    const app = uws.App().any('/*', (answer) => void answer.end(name))
    t.teardown(() => app.close())
    return (app as unknown as { getDescriptor(): ServerDescriptor }).getDescriptor()
  })
  const clock = new ManualClock()
  const counts = new ConnectionCounts(ConnectionCounts.memoryFor(2))
  const entrance = new Entrance({ uws, isSecure: false, counts, clock })
  t.teardown(() => entrance.close())
  const beat = (...seats: readonly number[]) => {
    for (const seat of seats) counts.beat(seat, clock.now())
  }
  beat(0, 1)
  entrance.admit(servers.map((server, seat) => ({ server, seat })))
  const port = await entrance.listen({ host: '127.0.0.1', port: 0 })
  const connect = async () => {
    const client = await RawClient.open(port)
    t.teardown(() => client.close())
    client.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    return (await client.answer()).body.toString()
  }
  const connectTo = async (count: number) => {
    let who = ''
    for (let number = 0; number < count; number += 1) who += await connect()
    return who
  }
  return { entrance, counts, clock, beat, servers, connectTo }
}

t.test('lanes with as many connections take turns', async (t) => {
  const { connectTo } = await twoLanes(t)
  const who = await connectTo(6)
  t.ok(who === 'ababab' || who === 'bababa', who)
})

t.test('who has more is passed over until the others have as many', async (t) => {
  const { entrance, counts, connectTo } = await twoLanes(t)
  counts.set(0, 3)
  counts.set(1, 1)
  entrance.balance()
  t.equal(await connectTo(4), 'bbbb')
  counts.set(1, 3)
  entrance.balance()
  t.same([...(await connectTo(4))].sort().join(''), 'aabb')
})

t.test('a lane that stands still gets none, however few it has, unless all stand still', async (t) => {
  const { entrance, counts, clock, beat, connectTo } = await twoLanes(t)
  counts.set(1, 5)
  clock.advance(STILL_AFTER_MS - 1)
  entrance.balance()
  t.equal(await connectTo(2), 'aa')
  beat(1)
  clock.advance(1)
  entrance.balance()
  t.equal(await connectTo(2), 'bb', 'a has not turned for so long')
  clock.advance(STILL_AFTER_MS)
  entrance.balance()
  t.equal(await connectTo(2), 'aa', 'nobody turns: then by what they have')
  beat(0, 1)
})

t.test('a lane that is no member any more gets none', async (t) => {
  const { entrance, servers, connectTo } = await twoLanes(t)
  entrance.admit([{ server: servers[1]!, seat: 1 }])
  t.equal(await connectTo(3), 'bbb')
  entrance.admit([{ server: servers[0]!, seat: 0 }])
  t.equal(await connectTo(3), 'aaa')
})

t.test('whoever waits for changes is woken by one, and by time', async (t) => {
  // Waiting itself keeps no loop alive.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(alive))
  const memory = ConnectionCounts.memoryFor(1)
  const [writer, reader] = [new ConnectionCounts(memory), new ConnectionCounts(memory)]
  const woken = (seen: number, withinMs: number) =>
    new Promise<void>((resolve) => reader.whenChanged(seen, withinMs, resolve))
  const seen = reader.changes
  const waiting = woken(seen, 60_000)
  writer.set(1, 7)
  await waiting
  t.equal(reader.openIn(1), 7)
  await woken(seen, 60_000)
  await woken(reader.changes, 5)
  t.pass('what has happened is not waited for, and nothing is waited for longer')
})
