import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { ask, tensorOf } from '../support/ask.ts'
import { startBreakable } from '../support/breakable-gateway.ts'
import { eventually } from '../support/eventually.ts'
import { RawClient } from '../support/raw-client.ts'
import { recordsIn } from '../support/read-records.ts'

t.test('few clients that stay are spread evenly over the lanes', async (t) => {
  const { gateway } = await startBreakable(t, 2, 0)
  for (let round = 1; round <= 5; round += 1) {
    const before = (await recordsIn(gateway.dataDir)).length
    const clients: RawClient[] = []
    for (let count = 0; count < 8; count += 1) {
      // Others that come and go between them must not put all that stay on one lane.
      if (count % 2 === 1 || round > 3) await ask(gateway.port, '/v2/health/live')
      const client = await RawClient.open(gateway.port)
      clients.push(client)
      await inferOn(client)
    }
    const lanes = await eventually(async () => {
      const records = (await recordsIn(gateway.dataDir)).slice(before)
      const decided = records.filter(({ type }) => type === 'decision').map(({ origin }) => origin.lane)
      return decided.length >= 8 && decided
    })
    const first = lanes.filter((lane) => lane === 0).length
    t.ok(first >= 3 && first <= 5, `round ${round}: ${first} of 8 on lane 0`)
    for (const client of clients) client.close()
  }
})

t.test('a lane whose loop stands still gets no new connections until it turns again', async (t) => {
  const { gateway, breakSeat } = await startBreakable(t, 2, 0)
  const stillMs = 3000
  const before = performance.now()
  breakSeat(1, stillMs)
  // Two of its beats and the entrance's look at them.
  await pause(1000)
  for (let count = 0; count < 20; count += 1)
    t.equal((await ask(gateway.port, '/v2/health/live')).status, 200)
  t.ok(performance.now() - before < stillMs, 'nobody had to wait for it')
})

async function inferOn(client: RawClient): Promise<void> {
  const body = tensorOf('x', [1])
  client.send(
    `POST /v2/models/m/infer HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  const { status } = await client.answer()
  if (status !== 200) throw new Error(`answered ${status}`)
}
