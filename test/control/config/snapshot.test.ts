/**
 * What comes out: a complete, frozen snapshot with a hash that follows meaning and nothing else; and
 * what never comes out, whatever goes in: an exception, or a refusal without a place.
 */
import fc from 'fast-check'
import t from 'tap'
import { canonicalJson } from '../../../src/control/config/canonical.ts'
import { checkConfig } from '../../../src/control/config/check-config.ts'
import type { Snapshot } from '../../../src/domain/routes.ts'
import { context, mistakes } from '../../support/config-mistakes.ts'

const FULL = `[server]
listen = "0.0.0.0:8080"
data_dir = "records"
limits = { body = "1MiB" }

[models.fraud]
key = ["header:X-User-Id", "body:/user/id", "client", "random"]
timeouts = { queue = "20ms", total = "800ms" }

[models.fraud.on_failure]
timeout = ["version:v1", "reply:sorry.json", "fail"]
error = ["version:v1"]

[models.fraud.output]
score = { path = "/outputs/0/data/0", type = "number", min = 0, max = 1 }

[models.fraud.versions.v1]
endpoints = ["http://A:8000", "http://[::1]"]
rename = { version = "1" }
slow_start = "10s"
health = { path = "/ready", interval = "500ms", expect = [204, 200] }

[models.fraud.versions.v2]
runtime = "onnx"
file = "m.onnx"

[models.fraud.route]
primary = "v1"
canary = { version = "v2", percent = 2.5 }
rules = [{ when = { header = "X-Tenant", in = ["a", "b"] }, version = "v2" }]
shadows = [{ version = "v1", percent = 10 }]

[models.fraud.compare]
outputs = [{ path = "/outputs/0/data/0", as = "number", tolerance = { rel = 0.1 } }]

[models.solo.versions.only]
endpoints = ["http://b"]
`

function snapshotOf(text: string, changes: Partial<typeof context> = {}): Snapshot {
  const result = checkConfig(text, { ...context, ...changes })
  if (!result.ok) throw new Error(JSON.stringify(result.problems, null, 1))
  return result.snapshot
}

const hashOf = (text: string): string => snapshotOf(text).hash

t.test(
  'a snapshot is complete: defaults filled in, units and paths resolved, versions numbered',
  async (t) => {
    const snapshot = snapshotOf(FULL)
    t.match(snapshot, {
      generation: 7,
      hash: /^[0-9a-f]{64}$/,
      server: { listen: { host: '0.0.0.0', port: 8080 }, admin: { host: '127.0.0.1', port: 9090 }, lanes: 3 },
      audit: { mode: 'batched' },
      scoring: { threads: 4, queueMax: 256 },
    })
    t.match(snapshot.server, {
      dataDir: '/etc/gate/records',
      bodyBytesMax: 1_048_576,
      headerBytesMax: 16_384,
      graceMs: 10_000,
      drainDelayMs: 0,
      sharesPort: false,
    })
    const fraud = snapshot.models.get('fraud')
    t.same(fraud?.timeouts, { queueMs: 20, connectMs: 250, firstByteMs: 800, idleMs: 800, totalMs: 800 })
    t.same(fraud?.key[0], { from: 'header', name: 'x-user-id' })
    t.same(fraud?.onFailure.overload, [{ do: 'fail' }])
    t.same(fraud?.onFailure.error, [{ do: 'version', version: 'v1' }, { do: 'fail' }])
    t.equal(fraud?.onFailure.timeout.length, 2, 'a fail after a reply is only said')
    t.match(fraud?.onFailure.timeout[1], { do: 'reply', file: 'sorry.json', contentType: 'application/json' })
    t.same(fraud?.output, [{ name: 'score', pointer: '/outputs/0/data/0', type: 'number', min: 0, max: 1 }])
    t.match(fraud?.breaker, { slowAfterMs: 800, openForMaxMs: 60_000, probes: 3, enforce: true })
    t.match(fraud?.route, {
      primary: 'v1',
      own: new Map([['canary', { version: 'v2', percent: 2.5 }]]),
      pinAllowed: false,
      experiment: null,
    })
    t.same(fraud?.route.rules, [
      { when: { header: 'x-tenant', test: { is: 'in', values: ['a', 'b'] } }, version: 'v2' },
    ])
    t.same(fraud?.route.shadows, [{ version: 'v1', percent: 10, concurrentMax: 64, timeoutMs: 2000 }])
    t.same(fraud?.compare, [
      { pointer: '/outputs/0/data/0', as: 'number', toleranceAbs: 0, toleranceRel: 0.1 },
    ])
    t.same(fraud?.versions.get('v1'), {
      index: 0,
      model: 'fraud',
      name: 'v1',
      kind: 'remote',
      firstEndpoint: 0,
      endpoints: [
        {
          url: 'http://a:8000',
          key: 'http://a:8000#9b289667dd9b3f37',
          host: 'a',
          port: 8000,
          authority: 'a:8000',
          socketPath: null,
          tls: null,
          denyPrivate: false,
          pipeline: 1,
        },
        {
          url: 'http://[::1]',
          key: 'http://[::1]#9b289667dd9b3f37',
          host: '::1',
          port: 80,
          authority: '[::1]',
          socketPath: null,
          tls: null,
          denyPrivate: false,
          pipeline: 1,
        },
      ],
      balance: 'least-loaded',
      health: {
        path: '/ready',
        intervalMs: 500,
        timeoutMs: 500,
        healthy: 2,
        unhealthy: 3,
        expect: [200, 204],
      },
      slowStartMs: 10_000,
      rename: { model: null, version: '1' },
    })
    t.match(fraud?.versions.get('v2'), {
      kind: 'local',
      runtime: 'onnx',
      file: '/etc/gate/m.onnx',
      fileAsWritten: 'm.onnx',
    })
    t.equal(snapshot.models.get('solo')?.route.primary, 'only', 'the only version is the primary')
    t.match(snapshot.models.get('solo')?.versions.get('only'), {
      firstEndpoint: 2,
      health: null,
      slowStartMs: 0,
    })
    t.ok(snapshot.versions.every((version, index) => version.index === index))
  },
)

t.test('lanes and scoring threads are never less than one', async (t) => {
  const { server, scoring } = snapshotOf(FULL, { cores: 1 })
  t.same([server.lanes, scoring.threads], [1, 1])
})

t.test('a snapshot is frozen to its last table and still crosses to another thread', async (t) => {
  const snapshot = snapshotOf(FULL)
  const model = snapshot.models.get('fraud')!
  t.throws(() => (snapshot.models as Map<string, unknown>).set('x', 1), /immutable/)
  t.throws(() => (snapshot.models as Map<string, unknown>).delete('fraud'), /immutable/)
  t.throws(() => Object.assign(model.route, { primary: 'v2' }), TypeError)
  t.throws(
    () => (model.versions.get('v1') as unknown as { endpoints: unknown[] }).endpoints.push(1),
    TypeError,
  )
  const clone = structuredClone(snapshot)
  t.same(clone, snapshot)
  t.doesNotThrow(() => (clone.models as Map<string, unknown>).clear())
})

t.test('what means the same has the same hash', async (t) => {
  const hash = hashOf(FULL)
  const same: [string, string][] = [
    ['a comment', `# hello\n${FULL}`],
    ['another unit', FULL.replace('"20ms"', '"0020ms"').replace('"1MiB"', '"1024KiB"')],
    [
      'a default written out',
      FULL.replace('[server]\n', '[server]\nadmin = "127.0.0.1:9090"\nlanes = "auto"\ngrace = "10000ms"\n'),
    ],
    ['an implied time written out', FULL.replace('total = "800ms"', 'total = "800ms", idle = "800ms"')],
    ['an implied fail written out', FULL.replace('error = ["version:v1"]', 'error = ["version:v1", "fail"]')],
    ['an implied primary written out', `${FULL}[models.solo.route]\nprimary = "only"\n`],
    [
      'a host in capitals',
      FULL.replace('http://A:8000', 'http://a:8000').replace('"http://b"', '"http://B:80"'),
    ],
    [
      'another order of keys',
      FULL.replace('primary = "v1"\n', '').replace('shadows =', 'primary = "v1"\nshadows ='),
    ],
    [
      'another order of tables',
      FULL.replace(/\[models\.solo[\s\S]*$/, '').replace(
        '[models.fraud]',
        '[models.solo.versions.only]\nendpoints = ["http://b"]\n[models.fraud]',
      ),
    ],
    ['an implied time of health written out', FULL.replace('"500ms"', '"500ms", timeout = "500ms"')],
    ['other order of codes', FULL.replace('[204, 200]', '[200, 204]')],
    ['other line ends', FULL.replaceAll('\n', '\r\n')],
  ]
  for (const [name, text] of same) t.equal(hashOf(text), hash, name)
  t.equal(
    snapshotOf(FULL, { cores: 64, generation: 9, directory: '/etc/gate' }).hash,
    hash,
    'the same on another machine',
  )
})

t.test('whatever changes behaviour changes the hash', async (t) => {
  const replies = snapshotOf(FULL, {
    readFile: () => ({ ok: true, bytes: Buffer.from('{"sorry":false}') }),
  })
  t.not(replies.hash, hashOf(FULL), 'the contents of a reply file')
  const percents = fc.integer({ min: 0, max: 1000 }).map((tenths) => tenths / 10)
  const settings = fc.record({
    percent: percents,
    totalMs: fc.integer({ min: 100, max: 100_000 }),
    port: fc.integer({ min: 1, max: 65_535 }),
    pin: fc.boolean(),
    prefix: fc.stringMatching(/^[a-z]{1,5}$/),
    arm: percents,
    order: fc.boolean(),
  })
  const written = (value: { [K in keyof typeof settings]: unknown } & Record<string, unknown>): string => {
    const arms = [`v1 = ${value.arm}`, `v2 = ${Number((100 - Number(value.arm)).toFixed(1))}`]
    return `[models.m]\ntimeouts = { total = "${value.totalMs}ms" }
[models.m.versions.v1]\nendpoints = ["http://h:${value.port}"]\n[models.m.versions.v2]\nendpoints = ["http://i"]
[models.m.route]\nprimary = "v1"\npin = ${value.pin}\ncanary = { version = "v2", percent = ${value.percent} }
rules = [{ when = { header = "x", prefix = "${value.prefix}" }, version = "v2" }]
experiment = { name = "e", arms = { ${(value.order === true ? arms : arms.reverse()).join(', ')} } }\n`
  }
  const meaning = (value: Record<string, unknown>): string => canonicalJson({ ...value, order: undefined })
  fc.assert(
    fc.property(
      settings,
      settings,
      fc.constantFrom('percent', 'totalMs', 'port', 'pin', 'prefix', 'arm', 'order'),
      (left, other, key) => {
        const right = { ...left, [key]: other[key as keyof typeof other] }
        const alike = meaning(left) === meaning(right)
        return (hashOf(written(left as never)) === hashOf(written(right as never))) === alike
      },
    ),
    { numRuns: 150 },
  )
})

t.test('the order of arms and checks in the file decides nothing', async (t) => {
  const arms = (text: string): unknown =>
    snapshotOf(
      `[models.m.versions.a]\nendpoints = ["http://h"]\n[models.m.versions.b]\nendpoints = ["http://i"]\n[models.m.route]\nprimary = "a"\n[models.m.route.experiment]\nname = "e"\narms = ${text}\n`,
    ).models.get('m')?.route.experiment?.arms
  t.same(arms('{ b = 30, a = 70 }'), [
    { version: 'a', percent: 70 },
    { version: 'b', percent: 30 },
  ])
  t.same(arms('{ b = 30, a = 70 }'), arms('{ a = 70, b = 30 }'))
})

t.test('2,000 mutated configurations: no exception, and every refusal has a place', async (t) => {
  const seeds = [FULL, ...mistakes().map(({ text }) => text)]
  const pieces = [
    '=',
    '[',
    ']',
    '{',
    '}',
    '"',
    "'",
    '"""',
    '\n',
    '.',
    '-1',
    'nan',
    '1e999',
    '\0',
    '\uFFFD',
    '\u2028',
    '__proto__',
    'constructor',
    '9007199254740993',
    '[[models]]',
    '[models.fraud]',
    'true',
    '""',
    '0x7f',
    '#',
    '\\u0000',
    ', ',
    '~',
  ]
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    cut: fc.integer({ min: 0, max: 12 }),
    put: fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 4 })),
  })
  let refused = 0
  const started = process.hrtime.bigint()
  fc.assert(
    fc.property(fc.constantFrom(...seeds), fc.array(edit, { minLength: 1, maxLength: 4 }), (seed, edits) => {
      const text = edits.reduce((current, { at, cut, put }) => {
        const index = Math.floor(at * current.length)
        return current.slice(0, index) + put + current.slice(index + cut)
      }, seed)
      const result = checkConfig(text, context)
      if (result.ok) return result.snapshot.hash.length === 64
      refused += 1
      const lines = text.split('\n').length
      return (
        result.problems.some((problem) => problem.severity === 'error') &&
        result.problems.every(
          ({ line, column, message }) => line >= 1 && line <= lines && column >= 1 && message !== '',
        )
      )
    }),
    { numRuns: 2000 },
  )
  t.ok(refused > 600, `${refused} of them were refused`)
  t.comment(`${Number(process.hrtime.bigint() - started) / 1e6} ms`)
})

t.test('hostile shapes are refused, not suffered', async (t) => {
  const deep = `a${'.a'.repeat(20_000)} = 1\na${'.a'.repeat(9000)}.__proto__.a = 1`
  const shapes = [
    deep,
    `a = ${'['.repeat(5000)}`,
    `a = ${'{ b = '.repeat(5000)}`,
    '[a]\n'.repeat(3000),
    '='.repeat(100_000),
    `${'x'.repeat(200_000)} = 1`,
    '\uFEFF',
    '[models]\n'.repeat(2),
  ]
  for (const text of shapes) {
    const result = checkConfig(text, context)
    t.equal(result.ok, text === '\uFEFF', `${text.slice(0, 20)}…`)
  }
})

t.test('limits of the server hold for every model, behind its own, and all are numbered', async (t) => {
  const models = `
[models.a]
limits = { rate = [{ requests = 100, per = "1m", by = ["header:X-Api-Key", "client"] }, { requests = 5, burst = 9, name = "b" }] }
[models.a.versions.v1]
endpoints = ["http://a"]
[models.b.versions.v1]
endpoints = ["http://b"]
`
  const snapshot = snapshotOf(`[server.limits]\nrate = [{ requests = 7, per = "1h" }]\n${models}`)
  const all = { name: '7-per-1h', requests: 7, perMs: 3_600_000, burst: 7, by: [{ from: 'client' }] }
  t.same(snapshot.rates, [
    { index: 0, ...all },
    {
      index: 1,
      name: '100-per-1m',
      requests: 100,
      perMs: 60_000,
      burst: 100,
      by: [{ from: 'header', name: 'x-api-key' }, { from: 'client' }],
    },
    { index: 2, name: 'b', requests: 5, perMs: 1000, burst: 9, by: [{ from: 'client' }] },
  ])
  t.same(
    snapshot.models.get('a')?.rates.map(({ index }) => index),
    [1, 2, 0],
  )
  t.same(
    snapshot.models.get('b')?.rates.map(({ index }) => index),
    [0],
  )
  const written = models.replace('per = "1m",', 'per = "60s", burst = 100, name = "100-per-1m",')
  t.equal(hashOf(models), hashOf(written), 'a default that is written is the same configuration')
})

t.test('nothing is kept of answers unless a model says so', async (t) => {
  const of = (table: string) =>
    snapshotOf(`[models.a]\n${table}\n[models.a.versions.v1]\nendpoints = ["http://a"]`).models.get('a')
  t.match(of(''), { idempotency: null, cache: null })
  const whose = [
    { from: 'header', name: 'authorization' },
    { from: 'header', name: 'x-api-key' },
    { from: 'client' },
  ]
  t.same(of('idempotency = {}')?.idempotency, { ttlMs: 86_400_000, bytesMax: 67_108_864, by: whose })
  t.same(of('cache = { ttl = "5s", vary = ["header:X-Tenant"], shared = true }')?.cache, {
    ttlMs: 5000,
    bytesMax: 67_108_864,
    by: whose,
    vary: [{ from: 'header', name: 'x-tenant' }],
    shared: true,
  })
})
