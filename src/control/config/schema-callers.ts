/**
 * The grammar of what is counted and kept for each caller: rate limits, answers for repeats, answers for equal
 * questions.
 */
import * as leaf from './leaf.ts'
import { name } from './schema-words.ts'
import { parseKeySource } from './words.ts'

export const keySource = leaf.parsed(parseKeySource, {
  what: 'a source of the sticky key',
  expected: '"header:NAME", "body:/POINTER", "client" or "random"',
  description:
    'A source of the sticky key: a request header, a place in the JSON body, the caller’s address, or chance.',
})

export const callerSource = leaf.parsed(parseKeySource, {
  what: 'a source of the caller’s identity',
  expected: '"header:NAME", "body:/POINTER" or "client"',
  description: 'What tells callers apart: a request header, a place in the JSON body, or the address.',
})

const by = (description: string) => leaf.list(callerSource, { min: 1, max: 8 }, description)

const rate = leaf.table(
  {
    requests: leaf
      .whole(1, 1_000_000, 'Requests that one caller may send in `per`, in the long run.')
      .meta({ standIn: 1 }),
    per: leaf.duration('1s', '1d', 'The time for `requests`.').prefault('1s'),
    burst: leaf
      .whole(1, 1_000_000, 'Requests that may come at once, after a pause.')
      .meta({ defaultText: 'as many as `requests`' })
      .optional(),
    by: by(
      'Who is one caller: the first source that is present, else the address; of IPv6 its /64 network. Whoever can choose a header’s value can be many callers; add a second limit by "client" against that.',
    ).prefault(['client']),
    name: name('a limit’s name', 'As callers read it in RateLimit headers and in the refusal.')
      .meta({ defaultText: 'from `requests` and `per`, such as 100-per-1s' })
      .optional(),
  },
  'One limit of what each caller may ask. What is beyond is answered 429 and reaches no endpoint.',
)

export const rates = (description: string) =>
  leaf
    .list(rate, { min: 0, max: 4 }, description)
    .meta({ expected: 'a list of at most 4 limits, such as [{ requests = 100, per = "1s" }]' })
    .prefault([])

const WHOSE = ['header:authorization', 'header:x-api-key', 'client']
const whose = by(
  'Who is one caller: the first source that is present, else the address. Credentials (authorization, x-api-key, api-key, cookie) always tell callers apart, too.',
).prefault(WHOSE)
const bytes = leaf
  .size('64KiB', '16GiB', 'Memory for kept answers, over all lanes; the least recently used leave first.')
  .prefault('64MiB')

export const idempotency = leaf.table(
  {
    ttl: leaf.duration('1s', '1d', 'How long an answer is kept for repeats.').prefault('1d'),
    bytes,
    by: whose,
  },
  'Honour Idempotency-Key: a repeat of a request gets the first one’s answer, and no version is asked again.',
)

export const cache = leaf.table(
  {
    ttl: leaf.duration('1s', '1d', 'How long an answer may serve equal questions.').prefault('30s'),
    bytes,
    vary: leaf
      .list(callerSource, { min: 0, max: 16 }, 'Request headers that an answer depends on, besides the body.')
      .prefault([]),
    shared: leaf
      .flag('true: one caller may get what another was answered. Only for answers that are for everybody.')
      .prefault(false),
    by: whose,
  },
  'Keep answers and give them to equal questions: same version, operation, path, body and headers.',
)
