import t from 'tap'
import { BACKOFF_MS, backoffMs, isRetried, retryAfterMs } from '../../src/decide/retry.ts'
import { FAULTS, type FaultCode, fault } from '../../src/domain/fault.ts'

const ALL = { attempts: 3, on: ['connect', 'reset', 'timeout', '502', '503'], budget: 1, hedge: null }
const answer = (status: number, ...headers: string[]) => ({ status, headers, body: new Uint8Array(0) })

function retriedCodes(isRepeatable: boolean, on: readonly string[] = ALL.on): FaultCode[] {
  const codes = Object.keys(FAULTS) as FaultCode[]
  return codes.filter((code) =>
    isRetried({ ...ALL, on }, { fault: fault(code, ''), answer: answer(503), isRepeatable }),
  )
}

t.test('only faults of which nobody got anything are tried again', async (t) => {
  t.same(retriedCodes(true), [
    'connect-refused',
    'connect-failed',
    'connect-timeout',
    'first-byte-timeout',
    'closed-before-answer',
    'endpoint-error',
  ])
})

t.test('what must not be sent twice is tried again only where it never left', async (t) => {
  t.same(retriedCodes(false), ['connect-refused', 'connect-failed', 'connect-timeout'])
})

t.test('only what retry.on names', async (t) => {
  t.same(retriedCodes(true, ['reset']), ['closed-before-answer'])
  t.same(retriedCodes(true, []), [])
  const failed = (status: number) => ({
    fault: fault('endpoint-error', ''),
    answer: answer(status),
    isRepeatable: true,
  })
  t.same(
    [500, 502, 503, 504].map((status) => isRetried(ALL, failed(status))),
    [false, true, true, false],
  )
})

t.test(
  'an endpoint’s own word on when to come back is understood in seconds, and nothing else is',
  async (t) => {
    t.equal(retryAfterMs(answer(503, 'retry-after', '2')), 2000)
    for (const value of ['', '-1', '1.5', 'Wed, 21 Oct 2026 07:28:00 GMT', '9'.repeat(10)])
      t.equal(retryAfterMs(answer(503, 'retry-after', value)), 0, value)
    t.equal(retryAfterMs(answer(503)), 0)
    t.equal(retryAfterMs(null), 0)
  },
)

t.test('pauses are drawn from a range that doubles', async (t) => {
  t.same([backoffMs(1, 0), backoffMs(1, 1), backoffMs(2, 1), backoffMs(3, 0.5)], [0, BACKOFF_MS, 50, 50])
})
