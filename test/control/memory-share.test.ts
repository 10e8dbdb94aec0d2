/** What bodies may take of the memory there is. */
import t from 'tap'
import { bodiesShare, LANE_BODIES_BYTES_MAX, memoryBytes } from '../../src/control/memory-share.ts'
import { makeSnapshot } from '../observe/make-snapshot.ts'

const MIB = 1024 * 1024
const snapshot = makeSnapshot()
const withServer = (more: Partial<typeof snapshot.server>) => ({
  ...snapshot,
  server: { ...snapshot.server, bodyBytesMax: 16 * MIB, ...more },
})

t.test(
  'in a container they get about half of what the process leaves, on a large machine no more than is of use',
  async (t) => {
    const { bytes, warning } = bodiesShare(withServer({ lanes: 1 }), 256 * MIB)
    t.ok(bytes > 32 * MIB && bytes <= (256 - 80) * (MIB / 2), `${bytes / MIB} MiB of 256`)
    t.equal(warning, '')
    t.equal(bodiesShare(withServer({ lanes: 4 }), 1024 * 1024 * MIB).bytes, 4 * LANE_BODIES_BYTES_MAX)
  },
)

t.test('what is configured is taken as it is', async (t) => {
  t.equal(bodiesShare(withServer({ lanes: 1, memoryBytesMax: 32 * MIB }), 64 * MIB).bytes, 32 * MIB)
})

t.test('a share that holds not one body of the size allowed is told', async (t) => {
  const { warning } = bodiesShare(withServer({ lanes: 2, memoryBytesMax: 40 * MIB }), 1024 * MIB)
  t.match(
    warning,
    /a lane holds at most 15 MiB of request bodies .*server\.limits\.memory\), less than one body/,
  )
})

t.test('the memory of this machine, or of the container, is read from the system', async (t) => {
  t.ok(memoryBytes() > 128 * MIB, `${memoryBytes()}`)
})
