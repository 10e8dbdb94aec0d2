/** The small parts: system errors to faults. */
import t from 'tap'
import { FAULTS, type FaultCode } from '../../src/domain/fault.ts'
import { attemptFault } from '../../src/forward/attempt-fault.ts'
import { connectFault, describeError, lossFault } from '../../src/forward/socket-fault.ts'
import { endpointAt } from '../support/endpoint-at.ts'
import { TIMEOUTS, versionOf } from './carry.ts'

function systemError(code: string): Error {
  return Object.assign(new Error(`connect ${code} 10.0.0.1:80`), { code })
}

t.test('system errors become faults', async (t) => {
  const table: readonly (readonly [string, FaultCode])[] = [
    ['ECONNREFUSED', 'connect-refused'],
    ['ETIMEDOUT', 'connect-timeout'],
    ['ENOTFOUND', 'connect-failed'],
    ['EAI_AGAIN', 'connect-failed'],
    ['EHOSTUNREACH', 'connect-failed'],
    ['ENETUNREACH', 'connect-failed'],
    ['ECONNRESET', 'connect-failed'],
    ['EMFILE', 'connect-failed'],
  ]
  for (const [errno, code] of table) t.equal(connectFault(systemError(errno)), code, errno)
  t.equal(connectFault(new Error('closed')), 'connect-failed', 'without errno')
  const several = Object.assign(new AggregateError([systemError('ECONNREFUSED')]), { code: 'ECONNREFUSED' })
  t.equal(connectFault(several), 'connect-refused', 'of several addresses')
  t.equal(describeError(several), 'ECONNREFUSED', 'an aggregate has no words of its own')
  t.equal(describeError(systemError('EPIPE')), 'EPIPE connect EPIPE 10.0.0.1:80')
  t.equal(lossFault(false), 'closed-before-answer')
  t.equal(lossFault(true), 'truncated-answer')
})

t.test('what a caller reads names version and model, never an address', async (t) => {
  const endpoint = endpointAt('10.0.0.1', 80)
  const context = { version: versionOf(endpoint), timeouts: TIMEOUTS, answerBytesMax: 64 * 1024 * 1024 }
  const codes: readonly FaultCode[] = (Object.keys(FAULTS) as FaultCode[]).filter(
    (code) => FAULTS[code].source === 'upstream',
  )
  for (const code of codes) {
    const { message, detail } = attemptFault(code, context, endpoint.url, 'ECONNRESET')
    t.match(message, "version 'v2' of model 'fraud'", code)
    t.notMatch(message, '10.0.0.1', code)
    t.equal(detail, 'http://10.0.0.1:80: ECONNRESET')
  }
  t.match(attemptFault('answer-too-large', context, '', '').message, 'larger than 64 MiB')
})
