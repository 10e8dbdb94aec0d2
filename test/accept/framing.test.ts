/** Which header lists have one reading only. Values arrive trimmed and names in lower case, as the server leaves them. */
import t from 'tap'
import { BODY_SPAN_BYTES_MIN, BODY_SPAN_MS, BodyPatience } from '../../src/accept/body-patience.ts'
import { readFraming } from '../../src/accept/framing.ts'
import { isHost } from '../../src/accept/host.ts'
import { Sweep } from '../../src/kernel/sweep.ts'
import { ManualClock } from '../support/manual-clock.ts'

const read = (headers: readonly string[], method = 'POST', chunkedAccepted = false) =>
  readFraming(method, ['host', 'a', ...headers], { chunkedAccepted })
const codeOf = (headers: readonly string[], method?: string, chunkedAccepted?: boolean) =>
  read(headers, method, chunkedAccepted).refusal?.code ?? 'good'

t.test('one length, or one chunked where that is accepted, and never both', async (t) => {
  t.match(read(['content-length', '12']), { contentLength: 12, isChunked: false, refusal: null })
  t.match(read(['transfer-encoding', 'Chunked'], 'POST', true), {
    contentLength: -1,
    isChunked: true,
    refusal: null,
  })
  t.equal(codeOf(['transfer-encoding', 'chunked']), 'length-required')
  t.equal(codeOf(['transfer-encoding', 'chunked', 'content-length', '0'], 'POST', true), 'malformed-request')
  for (const coding of [
    '',
    'gzip',
    'gzip, chunked',
    'chunked, chunked',
    'xchunked',
    'identity',
    'chunked;q=1',
  ]) {
    t.equal(codeOf(['transfer-encoding', coding], 'POST', true), 'malformed-request', coding)
    t.equal(codeOf(['transfer-encoding', coding], 'POST', false), 'malformed-request', coding)
  }
  for (const length of ['', '+1', '-1', '1 1', '1,1', '0x1', '1e3', '1.0', '9'.repeat(16)]) {
    t.equal(codeOf(['content-length', length]), 'malformed-request', length)
  }
})

t.test('a method that has a body says how long it is', async (t) => {
  for (const method of ['POST', 'PUT', 'PATCH']) t.equal(codeOf([], method), 'length-required', method)
  for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS']) t.equal(codeOf([], method), 'good', method)
})

t.test('what may come once comes once, in every spelling', async (t) => {
  for (const name of [
    'content-type',
    'content-encoding',
    'authorization',
    'inference-header-content-length',
  ]) {
    t.equal(codeOf([name, 'x'], 'GET'), 'good', name)
    t.equal(codeOf([name, 'x', name, 'x'], 'GET'), 'malformed-request', name)
    const hidden = name.replaceAll('-', '_')
    if (hidden !== name) t.equal(codeOf([hidden, 'x'], 'GET'), 'malformed-request', hidden)
  }
  for (const name of ['content_length', 'transfer_encoding', 'transfer_encoding']) {
    t.equal(codeOf([name, '3'], 'GET'), 'malformed-request', name)
  }
  t.equal(codeOf(['host', 'a'], 'GET'), 'malformed-request')
  t.equal(codeOf(['cookie', 'a', 'cookie', 'b', 'x_y', '1'], 'GET'), 'good')
})

t.test('Connection names what is of the hop and nothing else', async (t) => {
  for (const value of ['close', 'Keep-Alive', 'upgrade, x-hop', 'TE', 'transfer-encoding', '']) {
    t.equal(codeOf(['connection', value], 'GET'), 'good', value)
  }
  const names = [
    'content-length',
    'Host',
    'authorization',
    'content-type',
    'x-forwarded-for',
    'modelgate-pin',
  ]
  for (const name of names) {
    t.equal(codeOf(['connection', `close, ${name}`], 'GET'), 'malformed-request', name)
  }
})

t.test('close on any line, in any case, ends the connection', async (t) => {
  const isLast = (...values: string[]) =>
    read(
      values.flatMap((value) => ['connection', value]),
      'GET',
    ).isLast
  t.equal(isLast('keep-alive', 'close'), true)
  t.equal(isLast('x', 'CLOSE'), true)
  t.equal(isLast('close', 'close'), true)
  t.equal(isLast('te , Close'), true)
  t.equal(isLast('keep-alive', 'closed'), false)
  t.equal(isLast('close'), false, 'the server in front acts on it')
})

t.test('the only expectation is 100-continue, the only values are text', async (t) => {
  t.equal(codeOf(['expect', '100-Continue'], 'GET'), 'good')
  t.equal(
    read(['expect', '100-Continue'], 'GET').expectation,
    'open',
    'the server in front says no word to it',
  )
  t.equal(read(['expect', '100-continue'], 'GET').expectation, 'met')
  t.equal(codeOf(['expect', 'miracles'], 'GET'), 'expectation-failed')
  t.equal(codeOf(['expect', ''], 'GET'), 'expectation-failed')
  t.equal(codeOf(['x', 'a\u007f'], 'GET'), 'malformed-request')
  t.equal(codeOf(['x', 'a\ufffd'], 'GET'), 'malformed-request')
})

t.test('a host is a name or an address, and a port up to 65535', async (t) => {
  const good = ['a', 'a.b:0', 'a:65535', '127.0.0.1:80', '[::1]', '[::ffff:1.2.3.4]:9', 'x%41', 'a_b', 'a;b']
  const bad = [
    '',
    'a:',
    'a:65536',
    'a:123456',
    'u@a',
    'a/b',
    'a,b',
    'a b',
    'a?b',
    'a#b',
    'a\\b',
    '[::1',
    '[:::]',
    '[g::]',
    'x%4',
    '::1',
  ]
  for (const text of good) t.equal(isHost(text), true, text)
  for (const text of bad) t.equal(isHost(text), false, text)
  t.equal(isHost('a'.repeat(300)), false)
  t.match(readFraming('GET', ['x', 'y'], { chunkedAccepted: false }).refusal, { code: 'malformed-request' })
})

t.test('a body has a span of time for each span of bytes, and one sweep entry serves all', async (t) => {
  const clock = new ManualClock()
  const sweep = new Sweep(clock)
  t.teardown(() => sweep.stop())
  const patience = new BodyPatience(sweep)
  const told: string[] = []
  const body = (name: string) => ({
    place: -1,
    spanStartedAt: -1,
    spanStartedBytes: 0,
    putOffAt: -1,
    bytesReceived: 0,
    putOff: () => void told.push(`${name} put off`),
    looked: () => {},
    tooSlow: () => void told.push(`${name} too slow`),
  })
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 250) {
      clock.advance(250)
      sweep.run()
    }
  }
  const [slow, quick, gone] = [body('slow'), body('quick'), body('gone')]
  for (const one of [gone, slow, quick]) patience.wait(one)
  t.equal(sweep.size, 1)
  patience.stop(gone)
  patience.stop(gone)
  quick.bytesReceived = BODY_SPAN_BYTES_MIN
  slow.bytesReceived = BODY_SPAN_BYTES_MIN - 1
  pass(BODY_SPAN_MS)
  t.notOk(told.includes('slow too slow'), 'not before its time')
  t.ok(told.includes('slow put off'), 'the server’s own timer was put off meanwhile')
  pass(1000)
  t.same(
    told.filter((line) => line.endsWith('too slow')),
    ['slow too slow'],
  )
  pass(BODY_SPAN_MS)
  t.ok(told.includes('quick too slow'), 'the next span wants bytes of its own')
  t.notOk(told.includes('gone too slow'))
  pass(1000)
  t.equal(sweep.size, 0, 'nothing is looked at when nothing is awaited')
})
