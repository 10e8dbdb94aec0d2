/** Moments on a command line. */
import t from 'tap'
import { momentOf, withJoinedMoments } from '../../../src/cli/audit/moment.ts'

const NOW = Date.parse('2026-11-26T14:00:00Z')

t.test('moments are read as UTC unless they say otherwise', (t) => {
  const read: readonly (readonly [string, string])[] = [
    ['now', '2026-11-26T14:00:00.000Z'],
    ['-7d', '2026-11-19T14:00:00.000Z'],
    ['-90m', '2026-11-26T12:30:00.000Z'],
    ['-2w', '2026-11-12T14:00:00.000Z'],
    ['2026-11-09', '2026-11-09T00:00:00.000Z'],
    ['2026-11-09T14:30', '2026-11-09T14:30:00.000Z'],
    ['2026-11-09 14:30:05.25', '2026-11-09T14:30:05.250Z'],
    ['2026-11-09T14:30:05Z', '2026-11-09T14:30:05.000Z'],
    ['2026-11-09t14:30+01:00', '2026-11-09T13:30:00.000Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
  ]
  for (const [text, iso] of read) t.equal(momentOf(text, NOW), Date.parse(iso), text)
  const wrong = [
    '',
    '7d',
    '-7',
    '-7y',
    '2026-13-01',
    '2026-02-30',
    '2025-02-29',
    '2026-11-09T25:00',
    '9.11.2026',
    '2026-11-09T14',
  ]
  for (const text of wrong) t.type(momentOf(text, NOW), 'string', text)
  t.end()
})

t.test('a moment in the past is no option', (t) => {
  t.strictSame(withJoinedMoments(['--from', '-7d', '--to', 'now', '--json'], ['--from', '--to']), [
    '--from=-7d',
    '--to',
    'now',
    '--json',
  ])
  t.strictSame(withJoinedMoments(['--from', '--json', '--to'], ['--from', '--to']), [
    '--from',
    '--json',
    '--to',
  ])
  t.end()
})
