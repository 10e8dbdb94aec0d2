import t from 'tap'
import { ask, tensorOf } from '../support/ask.ts'
import { startBreakable } from '../support/breakable-gateway.ts'
import { eventually } from '../support/eventually.ts'
import { RawClient } from '../support/raw-client.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { recordsIn } from '../support/read-records.ts'

const CLIENTS = 16
const TRIES = 3

const { gateway, holdSeat } = await startBreakable(t, 2)

/** Lanes of the decisions behind so many records. */
async function lanesSince(records: number): Promise<number[]> {
  const later = (await recordsIn(gateway.dataDir)).slice(records)
  return later.filter(({ type }) => type === 'decision').map(({ origin }) => origin.lane)
}

const openAre = (count: number) =>
  eventually(async () => (await metricsOf(gateway)).value('modelgate_open_connections') === count)

/** Of clients that come one after the other and stay, how many are on lane 0; `others` come and go between them. */
async function onFirstLane(others: boolean): Promise<number> {
  await openAre(0)
  const before = (await recordsIn(gateway.dataDir)).length
  const clients: RawClient[] = []
  for (let count = 0; count < CLIENTS; count += 1) {
    if (others || count % 2 === 1) await ask(gateway.port, '/v2/health/live')
    await openAre(count)
    const client = await RawClient.open(gateway.port)
    clients.push(client)
    await inferOn(client)
  }
  const lanes = await eventually(async () => {
    const decided = await lanesSince(before)
    return decided.length >= CLIENTS && decided
  })
  for (const client of clients) client.close()
  return lanes.filter((lane) => lane === 0).length
}

for (const others of [false, true]) {
  t.test(
    `few clients that stay are spread evenly over the lanes${others ? ', with others between them' : ''}`,
    async (t) => {
      // A lane that a busy machine holds up for half a second is rightly passed over: not in every try.
      const found: number[] = []
      while (found.length < TRIES && found.at(-1) !== CLIENTS / 2) found.push(await onFirstLane(others))
      t.equal(found.at(-1), CLIENTS / 2, `${found.join(', ')} of ${CLIENTS} on lane 0`)
    },
  )
}

t.test('a lane whose loop stands still gets no new connections until it turns again', async (t) => {
  const wake = holdSeat(1)
  const isServed = () =>
    ask(gateway.port, '/v2/health/live', { timeoutMs: 2000 }).then(
      () => true,
      () => false,
    )
  await eventually(async () => (await isServed()) && (await isServed()) && (await isServed()), {
    until: 'the entrance has noticed',
  })
  let served = 0
  for (let count = 0; count < 20; count += 1) if (await isServed()) served += 1
  // When all stand still, as in a stall of the machine, connections go to all. Unnoticed, the idle one got every one.
  t.ok(served >= 15, `${served} of 20 did not have to wait for it`)
  wake()
  const before = (await recordsIn(gateway.dataDir)).length
  await eventually(async () => {
    await gateway.infer('m', tensorOf('x', [1]))
    return (await lanesSince(before)).includes(1)
  })
})

async function inferOn(client: RawClient): Promise<void> {
  const body = tensorOf('x', [1])
  client.send(
    `POST /v2/models/m/infer HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  const { status } = await client.answer(30_000)
  if (status !== 200) throw new Error(`answered ${status}`)
}
