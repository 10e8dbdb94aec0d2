/** Who gets how many of the descriptors: nobody's share may leave the log without. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../../src/control/config/load.ts'
import { AT_ONCE } from '../../src/control/probes/prober.ts'
import {
  descriptorsMax,
  LANE_SOCKETS_MIN,
  type SocketShares,
  socketShares,
} from '../../src/control/socket-shares.ts'

function sharesOf({ lanes = 1, more = '' }, descriptors: number): SocketShares | string {
  const directory = mkdtempSync(join(tmpdir(), 'modelgate-'))
  const file = join(directory, 'gateway.toml')
  writeFileSync(
    file,
    `[server]\nlanes = ${lanes}\nlimits = { connections = 10000 }\n[models.m.versions.v1]\nendpoints = ["http://127.0.0.1:9"]\n${more}`,
  )
  const loaded = loadConfig(file, { generation: 1, cores: 2 })
  rmSync(directory, { recursive: true })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return socketShares(loaded.snapshot, { descriptors, eachEndpoint: 256 })
}

const made = (shares: SocketShares | string): SocketShares => {
  if (typeof shares === 'string') throw new Error(shares)
  return shares
}

t.test('with plenty, clients get what is configured and endpoints what their pools may open', async (t) => {
  t.match(sharesOf({}, 1_000_000), { clients: 10_000, endpoints: 256, warning: '' })
  t.match(sharesOf({ lanes: 4 }, Number.POSITIVE_INFINITY), { clients: 10_000, endpoints: 1024, warning: '' })
  const shadows = `[models.m.versions.v2]\nendpoints = ["http://127.0.0.1:8"]\n[models.m.route]\nprimary = "v1"\nshadows = [{ version = "v2" }]\n`
  t.match(sharesOf({ more: shadows }, 1_000_000), { endpoints: 4 * 256 }, 'shadows have their own pools')
})

t.test('with few, clients get what files and endpoints leave, and the operator is told', async (t) => {
  for (const descriptors of [180, 300, 1024, 4096]) {
    const { admin, clients, endpoints, warning } = made(sharesOf({}, descriptors))
    t.ok(
      admin + clients + endpoints <= descriptors - 48,
      `${descriptors}: ${admin}, ${clients}, ${endpoints}`,
    )
    t.ok(Math.min(clients, endpoints) >= LANE_SOCKETS_MIN, `${descriptors}: ${clients} and ${endpoints}`)
    t.match(
      warning,
      new RegExp(`at most ${clients} client connections, not 10000 .*${descriptors} files \\(ulimit -n\\)`),
    )
  }
  t.match(sharesOf({}, 10_200), { warning: '' }, 'a few less are no news')
})

t.test('endpoints that are asked whether they are well get a few, where any want it', async (t) => {
  const more = 'health = { path = "/ready" }\n'
  t.match(sharesOf({}, 1_000_000), { probes: 0 })
  t.match(sharesOf({ more }, 1_000_000), { probes: 1 }, 'as many as there are')
  const many = `health = {}\n[models.n.versions.v1]\nendpoints = [${Array.from({ length: 256 }, (_, port) => `"http://127.0.0.1:${port + 1}"`)}]\n${more}`
  t.match(sharesOf({ more: many }, 1_000_000), { probes: AT_ONCE }, 'but no more than are asked at once')
  for (const descriptors of [180, 300, 1024]) {
    const { admin, clients, endpoints, probes } = made(sharesOf({ more: many }, descriptors))
    t.ok(probes >= 4 && probes <= descriptors / 16, `${descriptors}: ${probes}`)
    t.ok(admin + clients + endpoints + probes <= descriptors - 48)
  }
})

t.test('with too few for the lanes it says how many are needed, and that many are enough', async (t) => {
  for (const lanes of [1, 8]) {
    const words = sharesOf({ lanes }, 90)
    if (typeof words !== 'string') throw new Error('90 descriptors are taken for enough')
    t.match(words, /may open 90 files \(ulimit -n\)/)
    const needed = Number(/at least (\d+)/.exec(words)?.[1])
    t.type(sharesOf({ lanes }, needed - 1), 'string')
    t.match(sharesOf({ lanes }, needed), { clients: lanes * LANE_SOCKETS_MIN })
  }
})

t.test('the limit of this process is read from the system', async (t) => {
  t.ok(descriptorsMax() > 100, `${descriptorsMax()}`)
})
