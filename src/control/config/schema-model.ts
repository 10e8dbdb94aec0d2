/**
 * The grammar of one `[models.<name>]`, as zod schemas: shape, units and ranges of every key by itself.
 * What keys mean together (weights, order of timeouts, names of versions) is in rules/.
 */
import type { z } from 'zod'
import { canonicalHost, parseEndpoint } from './address.ts'
import { parseHedgeAfter } from './hedge-words.ts'
import * as leaf from './leaf.ts'
import { BALANCER_NAMES, PROTOCOL_NAMES, RUNTIME_NAMES } from './registries.ts'
import { cache, idempotency, keySource, rates } from './schema-callers.ts'
import { modelCapture } from './schema-capture.ts'
import { health, slowStart } from './schema-health.ts'
import { route } from './schema-route.ts'
import { name, pemFile, pointer, versionName } from './schema-words.ts'
import { parseFilePath, parseStep, REMOTE_MODEL, REMOTE_NAME } from './words.ts'

const timeouts = leaf.table(
  {
    queue: leaf
      .duration('1ms', '1h', 'How long a request waits for a free place (limits.concurrent).')
      .meta({ defaultText: '50ms, or total if shorter' })
      .optional(),
    connect: leaf
      .duration('1ms', '1h', 'How long connecting to an endpoint may take.')
      .meta({ defaultText: '250ms, or total if shorter' })
      .optional(),
    first_byte: leaf
      .duration('1ms', '1h', 'How long an endpoint may take until the first byte of its answer.')
      .meta({ defaultText: '1s (openai: 1m), or total if shorter' })
      .optional(),
    idle: leaf
      .duration('1ms', '1h', 'How long an answer may pause between two reads.')
      .meta({ defaultText: '5s (openai: 1m), or total if shorter' })
      .optional(),
    total: leaf
      .duration(
        '1ms',
        '1h',
        'How long one attempt may take from start to end, what a slow caller makes it wait apart. All others are within it.',
      )
      .meta({ defaultText: '2s (openai: 10m)' })
      .optional(),
  },
  'The five timers of one attempt. The caller’s own deadline caps them all.',
)

const stream = leaf.table(
  {
    keep_alive: leaf
      .duration(
        '100ms',
        '1h',
        'Send a comment this often to a caller that waits for the first content of a stream of events, once the endpoint has sent its head. After the first comment no other version can take over.',
      )
      .meta({ defaultText: 'no comments' })
      .optional(),
  },
  'Answers that are streams of server-sent events.',
)

const limits = leaf.table(
  {
    concurrent: leaf
      .whole(
        1,
        1_000_000,
        'Requests of this model under way at once, over all lanes; with `adaptive` at most.',
      )
      .prefault(256),
    rate: rates(
      'What each caller may ask of this model; every limit holds, and those of the server do, too.',
    ),
    queue: leaf
      .whole(0, 1_000_000, 'Requests that may wait for a place, over all lanes; 0 refuses at once.')
      .prefault(512),
    adaptive: leaf
      .flag(
        'Find the limit from latency: 20 at first, more while answers take about what they take when there is little to do, fewer when they take longer. Never fewer than 20 nor more than `concurrent`.',
      )
      .prefault(false),
  },
  'How much of this model may be under way. What is beyond is an `overload` failure.',
)

const breaker = leaf.table(
  {
    window: leaf.duration('1s', '1h', 'The time over which failures are counted.').prefault('10s'),
    min_requests: leaf
      .whole(1, 1_000_000, 'Fewer requests in the window than this never open the breaker by rate.')
      .prefault(20),
    failure_rate: leaf.share('Share of failures in the window that opens the breaker.').prefault(0.5),
    slow_after: leaf
      .duration('1ms', '1h', 'An answer later than this counts as slow.')
      .meta({ defaultText: '800ms (openai: 1m), or timeouts.total if shorter' })
      .optional(),
    slow_rate: leaf.share('Share of slow answers in the window that opens the breaker.').prefault(0.5),
    consecutive: leaf
      .whole(1, 1_000_000, 'Failures in a row that open the breaker whatever the rates are.')
      .prefault(5),
    open_for: leaf.duration('1ms', '1h', 'How long the breaker stays open the first time.').prefault('1s'),
    open_for_max: leaf
      .duration('1ms', '1d', 'Each failed probe doubles the open time up to this.')
      .prefault('60s'),
    probes: leaf
      .whole(1, 1000, 'Successful probes needed to close again; over all lanes, no more than these are sent.')
      .prefault(3),
    enforce: leaf.flag('false: decide and report, but let everything through (dry-run).').prefault(true),
  },
  'When a version counts as broken and gets no traffic for a while. One breaker per version, over all lanes.',
)

const consequence = leaf.parsed(parseStep, {
  what: 'a consequence',
  expected: '"version:NAME", "reply:FILE" or "fail"',
  description: 'Ask another version, send a fixed file, or give up with the error.',
})
const chain = (description: string) =>
  leaf.list(consequence, { min: 1, max: 8 }, description).prefault(['fail'])

const onFailure = leaf.table(
  {
    timeout: chain('When a timer or the caller’s deadline ran out.'),
    breaker_open: chain('When the version’s breaker refuses traffic.'),
    overload: chain('When limits or the scoring queue are full.'),
    invalid_output: chain('When the answer fails an `output` check.'),
    error: chain(
      'When connecting fails, the connection breaks, the answer is malformed or a 5xx, or a local model fails.',
    ),
  },
  'The declared consequence of each kind of failure: tried in order, then the error.',
)

const outputCheck = leaf.table(
  {
    path: pointer('Where the value is in the JSON answer.'),
    type: leaf.choice(
      ['number', 'integer', 'string', 'boolean'],
      'What the value must be. NaN and infinities are no numbers.',
    ),
    min: leaf.quantity('Smallest sane value; numbers only.').meta({ defaultText: 'none' }).optional(),
    max: leaf.quantity('Largest sane value; numbers only.').meta({ defaultText: 'none' }).optional(),
  },
  'One check of every answer. A violation is a failure of the version (`invalid_output`).',
)

const version = leaf.table(
  {
    endpoints: leaf
      .list(
        leaf.parsed(parseEndpoint, {
          what: 'an endpoint',
          expected: '"http://HOST[:PORT]", "https://HOST[:PORT]" or "unix:/PATH"',
          description: 'Where one copy of this version listens.',
        }),
        { min: 1, max: 256 },
        'Where the version listens, all equal. Either this or `runtime`.',
      )
      .optional(),
    balance: leaf
      .choice(
        BALANCER_NAMES,
        'How requests spread over the endpoints: the less loaded of two, each in turn, or by sticky key.',
      )
      .prefault(BALANCER_NAMES[0]),
    health: health.optional(),
    slow_start: slowStart,
    rename: leaf
      .table(
        {
          model: leaf
            .pattern(
              REMOTE_MODEL,
              'a name',
              'a name without blanks, ?, # or %',
              'The model’s name at the endpoint.',
            )
            .optional(),
          version: leaf
            .pattern(
              REMOTE_NAME,
              'a name',
              'a name without blanks, /, ?, # or %',
              'The version’s name at the endpoint.',
            )
            .optional(),
        },
        'What the endpoint calls this model and version, where it differs.',
      )
      .optional(),
    tls: leaf
      .table(
        {
          ca: pemFile('PEM of the authorities to trust.')
            .meta({ defaultText: 'those of the system' })
            .optional(),
          cert: pemFile('PEM of the certificate to show, where the endpoint asks for one.').optional(),
          key: pemFile('PEM of its private key, without a passphrase.').optional(),
          server_name: leaf
            .parsed(canonicalHost, {
              what: 'a host',
              expected: 'a DNS name or an IP address',
              description: 'The name to ask for (SNI) and to find in the certificate.',
            })
            .meta({ defaultText: 'the endpoint’s host' })
            .optional(),
          verify: leaf
            .flag('false: take any certificate of anybody. Only for a test without traffic.')
            .prefault(true),
        },
        'TLS towards the https:// endpoints, with a client certificate where needed.',
      )
      .optional(),
    pipeline: leaf
      .whole(
        1,
        64,
        'Requests written to one connection before the first is answered; only those safe to repeat. For endpoints that answer in order; `first_byte` of a request runs from its own write, so it includes the answers before it.',
      )
      .meta({ defaultText: '1' })
      .optional(),
    runtime: leaf
      .choice(
        RUNTIME_NAMES,
        'Serve the version in this process with this runtime. Either this or `endpoints`.',
      )
      .optional(),
    file: leaf
      .parsed(parseFilePath, {
        what: 'a path',
        expected: 'the path of the model file',
        description: 'The model’s file, relative to this configuration.',
      })
      .optional(),
  },
  'One deployment of the model: remote (`endpoints`) or local (`runtime` and `file`).',
)

const compareRule = leaf.table(
  {
    path: pointer('Where the value is in both JSON answers.'),
    as: leaf.choice(['number', 'label'], '`number`: how far apart. `label`: equal or not.'),
    tolerance: leaf
      .table(
        {
          abs: leaf
            .number(0, Number.MAX_VALUE, 'Largest absolute difference that still agrees.')
            .meta({ expected: 'a number of at least 0' })
            .prefault(0),
          rel: leaf
            .number(
              0,
              Number.MAX_VALUE,
              'Largest difference relative to the primary’s value that still agrees.',
            )
            .meta({ expected: 'a number of at least 0' })
            .prefault(0),
        },
        'How far apart two numbers may be and still agree; either one suffices.',
      )
      .optional(),
  },
  'One value that is held against the primary’s.',
)

const compare = leaf.table(
  {
    outputs: leaf.list(compareRule, { min: 0, max: 64 }, 'What is compared.').prefault([]),
    segments: leaf
      .list(keySource, { min: 0, max: 16 }, 'Report agreement by these values, too.')
      .prefault([]),
  },
  'How a shadow’s answer is held against the primary’s.',
)

const retry = leaf.table(
  {
    attempts: leaf
      .whole(
        1,
        10,
        'Tries at one version in all, at another endpoint where there is one; 1 is no retry. Only what is safe to repeat is.',
      )
      .prefault(1),
    on: leaf
      .list(
        leaf.pattern(
          /^(?:connect|reset|timeout|5[0-9]{2})$/,
          'a reason',
          '"connect", "reset", "timeout" or a 5xx status',
          'A reason to try again.',
        ),
        { min: 1, max: 16 },
        'What is tried again.',
      )
      .prefault(['connect', 'reset', '502', '503']),
    budget: leaf
      .number(0, 1, 'Retries as a share of all requests of the last 10 s; 10 a second are free.')
      .prefault(0.2),
    hedge_after: leaf
      .parsed(parseHedgeAfter, {
        what: 'a percentile or duration',
        expected: 'a percentile from "p50" to "p99.99" or a duration such as "50ms"',
        description:
          'Send a second copy to another endpoint when the first has not begun to answer after so long, or after so many percent of the answers of late had begun. The first good answer counts, the other copy is cancelled. Only what is safe to repeat, and only at versions with endpoints.',
      })
      .meta({ defaultText: 'no second copies' })
      .optional(),
    hedge_budget: leaf
      .number(0, 1, 'Second copies as a share of all requests of a version, at any moment.')
      .prefault(0.05),
  },
  'Trying again, and sending twice what is late.',
)

export const modelSchema = leaf.table(
  {
    protocol: leaf
      .choice(PROTOCOL_NAMES, 'The wire dialect callers and endpoints speak.')
      .prefault('open-inference'),
    key: leaf
      .list(
        keySource,
        { min: 1, max: 8 },
        'Where the sticky key comes from: the first source that is present.',
      )
      .prefault(['header:x-user-id', 'client']),
    timeouts: timeouts.prefault({}),
    stream: stream.prefault({}),
    limits: limits.prefault({}),
    idempotency: idempotency.optional(),
    cache: cache.optional(),
    priority: leaf
      .choice(
        ['high', 'normal', 'low'],
        'Which models go without first when the gateway is short of time or memory (modelgate_pressure_level): `low` is refused and nobody but `high` may wait for a place from level 2 on; from level 3 on all are refused.',
      )
      .prefault('normal'),
    retry: retry.prefault({}),
    breaker: breaker.prefault({}),
    on_failure: onFailure.prefault({}),
    output: leaf
      .named(
        name('a check’s name', 'Appears in records and errors.'),
        outputCheck,
        'What a sane answer looks like.',
      )
      .prefault({}),
    versions: leaf
      .named(versionName('A version of the model.'), version, 'The deployments of this model.')
      .prefault({}),
    route: route.prefault({}),
    compare: compare.prefault({}),
    audit: leaf
      .table(
        {
          mode: leaf
            .choice(
              ['durable', 'batched', 'best-effort'],
              'How sure the record is before the answer leaves; the words as in [audit].',
            )
            .meta({ defaultText: 'audit.mode' })
            .optional(),
          capture: modelCapture.optional(),
        },
        'Records of this model, where they differ from [audit].',
      )
      .optional(),
  },
  'One model: what is served under one name, in one or more versions.',
)

export type CheckedModel = z.output<typeof modelSchema>
