import t from 'tap'
import type { Notes } from '../../src/audit/records/notes.ts'
import { TOLD_EVERY_MS, UnreadConnections } from '../../src/record/unread-connections.ts'

function telling() {
  const told: Notes['unread'][] = []
  const unread = new UnreadConnections({ event: (_, note) => told.push(note as Notes['unread']) }, 3)
  return { told, unread }
}

t.test('a connection that ended unread is told at once, with its peer', async (t) => {
  const { told, unread } = telling()
  unread.ended('192.0.2.7', 50, 1_000)
  t.same(told, [{ at: 1_000, lane: 3, address: '192.0.2.7', connections: 1 }])
})

t.test('a flood of them is counted whole and told in few records', async (t) => {
  const { told, unread } = telling()
  for (let index = 0; index < 1_000; index += 1) unread.ended(`192.0.2.${index % 250}`, index, index)
  unread.flush(1_000)
  t.equal(told.length, 1_000 / TOLD_EVERY_MS + 1)
  t.equal(
    told.reduce((sum, { connections }) => sum + connections, 0),
    1_000,
  )
  unread.flush(2_000)
  t.equal(told.length, 1_000 / TOLD_EVERY_MS + 1, 'nothing is told twice')
})

t.test('connections that a stop ends are nothing to tell', async (t) => {
  const { told, unread } = telling()
  unread.ended('192.0.2.7', 0, 0)
  unread.ended('192.0.2.8', 1, 1)
  unread.close(2)
  unread.ended('192.0.2.9', 1_000, 1_000)
  t.same(
    told.map(({ address }) => address),
    ['192.0.2.7', '192.0.2.8'],
  )
})
