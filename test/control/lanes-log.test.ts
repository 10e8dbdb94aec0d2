/** What readiness and the operator are told of lanes whose records do not reach the log. */
import t from 'tap'
import { LanesLog } from '../../src/control/lanes-log.ts'

t.test(
  'a lane that refuses takes readiness back; one that only loses records says so and serves',
  async (t) => {
    const lanes = new LanesLog()
    t.same(lanes.check(), { ok: true, detail: 'writing' })
    t.match(lanes.set(0, 'losing'), /best-effort/)
    t.match(lanes.check(), { ok: true, detail: /are lost; nobody is refused/ })
    t.match(lanes.set(1, 'refusing'), /503 audit-unavailable/)
    t.match(lanes.check(), { ok: false, detail: /503 audit-unavailable/ })
    t.same([lanes.losing, lanes.refusing], [1, 1])
    t.equal(lanes.set(1, 'writing'), 'records are written again')
    t.ok(lanes.check().ok)
    lanes.forget(0)
    t.same([lanes.losing, lanes.refusing, lanes.check().detail], [0, 0, 'writing'])
  },
)
