/** What of a caller's headers reaches an endpoint, and what the gateway adds. */
import t from 'tap'
import type { Head } from '../../src/domain/head.ts'
import { outboundHeaders } from '../../src/forward/outbound-headers.ts'

function headWith(...headers: string[]): Head {
  return {
    method: 'POST',
    target: '/',
    path: '/',
    query: '',
    headers,
    contentLength: 0,
    clientAddress: '192.0.2.7',
    forwarded: { isTrusted: false, chain: '192.0.2.7', host: '', scheme: 'http' },
  }
}

const MARKS = { requestId: 'id-1', deadlineLeftMs: null, isShadow: false, isRead: false }
const OURS = [
  ...['via', '1.1 modelgate', 'x-forwarded-for', '192.0.2.7', 'x-forwarded-proto', 'http'],
  ...['modelgate-request-id', 'id-1'],
]

t.test('end-to-end headers cross as they came, with ours behind them', async (t) => {
  const head = headWith('accept', '*/*', 'x-a', '1', 'x-a', '2')
  t.strictSame(outboundHeaders(head, MARKS), [...head.headers, ...OURS])
})

t.test('what belongs to the hop, to framing, or claims to be ours does not cross', async (t) => {
  const hop = ['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect']
  const more = [
    'x_forwarded_for',
    'modelgate_pin',
    'content-length',
    'proxy-authorization',
    'grpc-timeout',
    'via',
    'forwarded',
    'x-real-ip',
  ]
  const own = ['x-forwarded-for', 'x-forwarded-proto', 'modelgate-pin', 'modelgate-shadow']
  const headers = [...hop, ...more, ...own].flatMap((name) => [name, 'spoofed'])
  t.strictSame(outboundHeaders(headWith(...headers), MARKS), OURS)
})

t.test('the host the caller asked for, the time left and the shadow’s mark are passed on', async (t) => {
  const marks = { ...MARKS, deadlineLeftMs: 123.9, isShadow: true }
  const more = ['x-forwarded-host', 'models.example']
  const last = ['modelgate-deadline-ms', '123', 'modelgate-shadow', '1']
  const forwarded = {
    isTrusted: true,
    chain: '203.0.113.9, 192.0.2.7',
    host: 'models.example',
    scheme: 'https',
  }
  const sent = outboundHeaders({ ...headWith('host', 'inner'), forwarded } as Head, marks)
  const first = [
    'via',
    '1.1 modelgate',
    'x-forwarded-for',
    '203.0.113.9, 192.0.2.7',
    'x-forwarded-proto',
    'https',
  ]
  t.strictSame(sent, [...first, ...more, ...OURS.slice(6), ...last])
  t.match(outboundHeaders(headWith(), { ...MARKS, deadlineLeftMs: -5 }).join(' '), 'modelgate-deadline-ms 0')
})

t.test('an answer that will be read is asked for without compression', async (t) => {
  const sent = outboundHeaders(headWith('accept-encoding', 'br'), { ...MARKS, isRead: true })
  t.strictSame(sent, [...OURS, 'accept-encoding', 'identity'])
})
