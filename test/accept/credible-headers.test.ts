/** What of a head counts, before anything is decided by it. */
import t from 'tap'
import { credibleHeaders } from '../../src/accept/credible-headers.ts'
import { readFraming } from '../../src/accept/framing.ts'

const fromStranger = (...headers: string[]) => credibleHeaders(headers, null, false)

t.test('what only a proxy may say is believed of one that is trusted, and of nobody else', async (t) => {
  const names = [
    'x-forwarded',
    'x-forwarded-port',
    'x-forwarded-user',
    'x_forwarded_prefix',
    'forwarded',
    'forwarded_for',
    'x-real-ip',
    'true-client-ip',
    'cf-connecting-ipv6',
    'x-original-url',
    'x_rewrite_url',
  ]
  const said = names.flatMap((name) => [name, 'said'])
  t.strictSame(fromStranger('a', '1', ...said, 'x-forward', 'kept'), ['a', '1', 'x-forward', 'kept'])
  t.equal(credibleHeaders(said, null, true), said)
})

t.test('what Connection names is of the hop, in any case and on any line', async (t) => {
  const headers = [
    'host',
    'a',
    'connection',
    'keep-alive, X-Hop',
    'x-hop',
    '1',
    'connection',
    'x-Two',
    'x-two',
    '1',
  ]
  const { hopNames } = readFraming('GET', headers, { chunkedAccepted: false })
  t.strictSame(credibleHeaders([...headers, 'x-kept', '2'], hopNames, true), [
    ...headers.slice(0, 4),
    ...headers.slice(6, 8),
    ...['x-kept', '2'],
  ])
})

t.test('a head without any of it is not copied', async (t) => {
  const headers = ['host', 'a', 'x_y', '1']
  t.equal(credibleHeaders(headers, null, false), headers)
})
