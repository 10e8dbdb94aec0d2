/** The grammar of `health` and `slow_start` of a version: how its endpoints are looked after. */
import type { Parsed } from './address.ts'
import * as leaf from './leaf.ts'

/** What a request line can carry: a path, perhaps with a query, of visible ASCII. */
const PATH = /^\/[!-"$-~]{0,1023}$/

function parseProbePath(text: string): Parsed<string> {
  if (PATH.test(text)) return { ok: true, value: text }
  const message = 'this is no path that can be asked for'
  const [guess = ''] = `/${text.replace(/^(?:[a-z]+:\/\/[^/]*)?\/?/, '')}`.split('#')
  return { ok: false, message, suggestion: PATH.test(guess) ? guess : undefined }
}

export const health = leaf.table(
  {
    path: leaf
      .parsed(parseProbePath, {
        what: 'a path',
        expected: 'a path that begins with / and has neither blanks nor #',
        description: 'What to ask each endpoint for, with GET.',
      })
      .meta({ defaultText: '"/v2/health/ready" with open-inference; others have to say it' })
      .optional(),
    interval: leaf
      .duration('100ms', '1h', 'From one question to the next; up to a tenth sooner, by chance.')
      .prefault('5s'),
    timeout: leaf
      .duration('10ms', '1h', 'How long an answer may take, connecting included.')
      .meta({ defaultText: '1s, or interval if shorter' })
      .optional(),
    healthy: leaf
      .whole(1, 100, 'Good answers in a row after which an unhealthy endpoint is healthy again.')
      .prefault(2),
    unhealthy: leaf
      .whole(
        1,
        100,
        'Bad answers in a row after which a healthy endpoint is unhealthy. The first answer of all decides alone.',
      )
      .prefault(3),
    expect: leaf
      .list(
        leaf.whole(200, 599, 'A status code.'),
        { min: 1, max: 16 },
        'The status codes that are good answers.',
      )
      .meta({ defaultText: '200 to 299' })
      .optional(),
  },
  'Ask each endpoint regularly whether it is well. One that is not gets no requests, unless that would leave fewer than half of them: then what they say is ignored.',
)

export const slowStart = leaf
  .duration(
    '100ms',
    '1h',
    'An endpoint that comes back gets a tenth of its share at first, and all of it after this time.',
  )
  .meta({ defaultText: 'all at once' })
  .optional()
