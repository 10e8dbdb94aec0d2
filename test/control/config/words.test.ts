/**
 * Hosts, units, pointers and near words: the small parsers under the grammar.
 */
import t from 'tap'
import { canonicalHost, isLoopback, parseEndpoint, parseListen } from '../../../src/control/config/address.ts'
import {
  durationMs,
  durationText,
  guessUnit,
  SIZE,
  sizeBytes,
  sizeText,
} from '../../../src/control/config/units.ts'
import { parseKeySource, parsePointer } from '../../../src/control/config/words.ts'
import { editDistance, nearestName } from '../../../src/kernel/nearest-name.ts'

t.test('hosts have one spelling or none', async (t) => {
  const urls = new Map([
    ['http://Example.COM', 'http://example.com'],
    ['HTTP://10.0.0.1:80', 'http://10.0.0.1'],
    ['http://[2001:DB8:0:0::1]:8000', 'http://[2001:db8::1]:8000'],
    ['http://a_b.svc.cluster.local.:1', 'http://a_b.svc.cluster.local.:1'],
  ])
  for (const [written, canonical] of urls)
    t.match(parseEndpoint(written), { ok: true, value: { url: canonical } }, written)
  t.match(parseEndpoint('http://[::1]:8000'), { value: { host: '::1', port: 8000, authority: '[::1]:8000' } })
  const refused = [
    '127.1',
    '0x7f.0.0.1',
    '2130706433',
    '1.2.3.256',
    '1.2.3.04',
    '[::1%eth0]',
    '[1.2.3.4]',
    '[::g]',
    'a..b',
    '-a',
    'a-',
    'ü.de',
    'a%00',
    'a\0',
    ' a',
    'a b',
    'a,b',
    '[::1]x',
    'a.0x1',
    '1.2.3.4.',
    '',
  ]
  for (const host of refused) t.match(parseEndpoint(`http://${host}`), { ok: false }, JSON.stringify(host))
  for (const port of ['0', '65536', '080', '+1', '1e3', ''])
    t.match(parseEndpoint(`http://h:${port}`), { ok: false }, port)
  for (const rest of ['u@h', 'u:p@h', 'h/', 'h/p', 'h?q', 'h#f', 'h\\p', '@h'])
    t.match(parseEndpoint(`http://${rest}`), { ok: false }, rest)
  t.match(parseListen('[::1]:0'), { ok: true, value: { host: '::1', port: 0 } })
  const meant = new Map([
    ['::1:80', '[::1]:80'],
    ['::1', '[::1]:8080'],
    ['h:', 'h:8080'],
    ['[::1]', '[::1]:8080'],
  ])
  for (const [written, address] of meant) {
    t.match(parseListen(written), { ok: false, suggestion: address }, written)
    t.match(parseListen(address), { ok: true }, address)
  }
  t.match(parseEndpoint('http://:80'), { ok: false, suggestion: 'http://127.0.0.1:80' })
  t.match(parseEndpoint('http://2001:db8::1:8000'), { ok: false, suggestion: 'http://[2001:db8::1]:8000' })
  t.match(canonicalHost('LOCALHOST'), { ok: true, value: 'localhost' })
  t.ok(['localhost', '::1', '127.0.0.1', '127.9.9.9'].every(isLoopback))
  t.notOk(['0.0.0.0', '::', '10.0.0.1', '127.evil.example', 'localhost.evil.example'].some(isLoopback))
})

t.test('units, pointers, keys and near words', async (t) => {
  t.equal(durationMs('400d'), 400 * 86_400_000)
  t.equal(sizeBytes('16KiB'), 16_384)
  t.equal(durationText(90_000), '90s')
  t.equal(sizeText(1_048_576), '1MiB')
  t.equal(guessUnit('16M', SIZE), '16MiB')
  t.equal(guessUnit('soon', SIZE), undefined)
  for (const pointer of ['', '/', '/a/0/~0~1', '/ ', '//'])
    t.match(parsePointer(pointer), { ok: true }, JSON.stringify(pointer))
  for (const pointer of ['a', '/~', '/~2', `/${'x'.repeat(600)}`])
    t.match(parsePointer(pointer), { ok: false }, pointer.slice(0, 9))
  t.match(parseKeySource('header:X-User'), { value: { from: 'header', name: 'x-user' } })
  t.match(parseKeySource('header:content-length'), { ok: false })
  t.match(parseKeySource('cookie'), { ok: false, suggestion: undefined })
  t.match(parseKeySource('cleint'), { ok: false, suggestion: 'client' })
  t.match(parseKeySource('X-User-Id'), { ok: false, suggestion: 'header:X-User-Id' })
  t.equal(editDistance('kitten', 'sitting'), 3)
  t.equal(editDistance('ab', 'ba'), 1)
  t.equal(nearestName('primray', ['primary', 'pin']), 'primary')
  t.equal(nearestName('zebra', ['primary', 'pin']), null)
  t.equal(nearestName('x'.repeat(100_000), ['primary']), null, 'long words cost nothing')
})
