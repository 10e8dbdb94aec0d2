/** `modelgate explain`: what it says, as words and as data, and its exit codes. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { InflightFile } from '../../src/audit/inflight/inflight-file.ts'
import type { DecisionRecord } from '../../src/audit/records/decision-record.ts'
import type { StreamRecord } from '../../src/audit/records/stream-record.ts'
import { explain } from '../../src/cli/explain.ts'
import { type BenchLog, openBenchLog } from '../audit/bench-log.ts'
import { newFolder } from '../audit/new-folder.ts'
import { sampleDecision, sampleInputs, sampleOpened, sampleStream } from '../audit/samples.ts'

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = ''
  let err = ''
  const io = {
    stdout: (text: string) => {
      out += text
    },
    stderr: (text: string) => {
      err += text
    },
    color: false,
  }
  return { code: await explain(args, io), out, err }
}

function logWith(record: DecisionRecord): BenchLog {
  const log = openBenchLog()
  const lane = log.lanes[0]!
  for (let index = 0; index < 20; index += 1) lane.decision(sampleDecision(), sampleInputs, () => {})
  lane.decision(record, sampleInputs, () => {})
  return log
}

function closed(log: BenchLog): string {
  log.lanes[0]!.close()
  log.writer.finish()
  return log.dataDir
}

const EXPECTED = `Request ID

When
  2026-11-02 12:00:00.000 UTC, and it took 3.46 ms

Asked
  10.0.0.5 (curl/8.5.0) sent POST /v2/models/fraud/infer with 512 B of application/json
  that is: infer to model fraud, spoken in open-inference
  trace 4bf92f3577b34da6a3ce929d0e0e4736

Chosen
  version v2, because the key fell inside the canary’s share
  sticky key from header:x-user-id; its point in [0, 1) is 0.034212
  its breaker was half-open (letting probes through)

Not chosen
  v1: something of higher precedence decided first; breaker closed
  v3: it gets copies only; breaker open

Tried
  1. after 120 µs: v2 as canary at http://10.0.0.11:8000, kept-alive connection → first-byte-timeout: no first byte within timeouts.first_byte: after 800 ms (queue 0 µs, first byte 2.30 ms, total 2.40 ms); counted as failure
  2. after 900 ms: v1 as fallback at the local scoring pool → 200, 128 B (queue 0 µs, first byte 2.30 ms, total 2.40 ms); counted as success

Answered
  200 by version v1 (fallback), 128 B of application/json
  the declared consequence version:v1 answered in place of the chosen version
  because of first-byte-timeout: no first byte within timeouts.first_byte: after 800 ms

Shadows planned
  v3: a copy was to be sent

Configuration
  generation 3, hash ${'5f'.repeat(32)}

Digests
  sticky key: HMAC-SHA-256 KEY
  request body: HMAC-SHA-256 REQUEST
  answer body: HMAC-SHA-256 ANSWER

Shadows
  v3 answered; it differed from the answer that was served (differences: 0.25, none)

In the log
  decision: record 21 in segments/000000000000.seg, byte AT
  shadow: record 22 in segments/000000000000.seg, byte AT
`

t.test('tells of a second copy where it went, when, and whose answer counts', async (t) => {
  const [attempt] = sampleDecision().attempts
  const A = 'http://10.0.0.11:8000'
  const B = 'http://10.0.0.12:8000'
  const words = [
    [
      { first: A, second: B, afterMs: 12.5, won: 'second' },
      `late, so after 12.50 ms a second one went to ${B}`,
    ],
    [{ first: A, second: B, afterMs: 12.5, won: 'second' }, 'the second one’s answer counts'],
    [{ first: A, second: B, afterMs: 3, won: 'first' }, 'the first one’s answer counts after all'],
    [{ first: A, second: A, afterMs: 3, won: 'none' }, 'a second one went there, too: neither'],
  ] as const
  for (const [hedge, expected] of words) {
    const record = sampleDecision({ attempts: [{ ...attempt!, endpoint: hedge.second, hedge }] })
    const { out } = await run(record.id, '--data', closed(logWith(record)))
    t.match(out, `the copy at ${A} was late`)
    t.match(out, expected)
  }
})

t.test('tells a decision as a person would, shadows and consequence and evidence included', async (t) => {
  const [first] = sampleDecision().attempts
  const record = sampleDecision({
    receivedAt: Date.UTC(2026, 10, 2, 12),
    served: 'v1',
    reason: 'fallback',
    degraded: 'version:v1',
    fault: { code: 'first-byte-timeout', message: 'no answer in time', detail: 'after 800 ms' },
    attempts: [
      {
        ...first!,
        status: 0,
        faultCode: 'first-byte-timeout',
        faultDetail: 'after 800 ms',
        verdict: 'failure',
      },
      { ...first!, version: 'v1', role: 'fallback', afterMs: 900, endpoint: 'pool' },
    ],
  })
  const log = logWith(record)
  log.lanes[0]!.shadow({
    id: record.id,
    receivedAt: record.receivedAt,
    model: 'fraud',
    version: 'v3',
    fate: 'answered',
    agreement: 'differ',
    differences: [0.25, null],
    attempt: null,
  })
  const dataDir = closed(log)
  const { code, out, err } = await run(record.id, '--data', dataDir)
  t.equal(code, 0)
  t.equal(err, '')
  const expected = EXPECTED.replace('ID', record.id)
    .replace('KEY', log.digester.hexOf(Buffer.from(sampleInputs.key)))
    .replace('REQUEST', log.digester.hexOf(sampleInputs.request))
    .replace('ANSWER', log.digester.hexOf(sampleInputs.answer))
  t.equal(out.replaceAll(/byte \d+$/gm, 'byte AT'), expected)
})

t.test('tells a refusal that came before anything was known', async (t) => {
  const record = sampleDecision({
    model: '',
    protocol: '',
    operation: '',
    keySource: '',
    plan: null,
    attempts: [],
    served: '',
    reason: '',
    status: 404,
    fault: { code: 'unknown-path', message: 'no dialect answers at /nowhere', detail: '' },
  })
  const { code, out } = await run(record.id, '--data', closed(logWith(record)))
  t.equal(code, 0)
  t.match(out, /it was refused before it was clear which model was meant/)
  t.match(out, /nothing: no version was asked/)
  t.match(out, /404 by the gateway itself/)
  t.match(out, /because of unknown-path: no dialect answers at this path: no dialect answers at \/nowhere/)
})

const OPENED = `
When
  2026-11-02 12:00:00.000 UTC, and its answer began after 3.46 ms
`
const TRIED = `
Tried
  1. after 120 µs: v2 as canary at http://10.0.0.11:8000, kept-alive connection → 200, passed on as it came (began after 2.40 ms); counted at its end

Answered
  200 by version v2 (canary), text/event-stream of a length that was not announced
`
const STREAMED = `
Streamed
  it was complete after 2346 ms: 12.1 KiB in 103 events were passed on
  the first content came 210 ms after v2 was asked
  the model stopped because of: stop
  tokens: 12 of the prompt, 100 of the completion, 112 in all
  v2 as canary at http://10.0.0.11:8000, kept-alive connection → 200, 12.1 KiB (queue 0 µs, first byte 210 ms, total 2345 ms); counted as success
`

t.test('tells how an answer began that was passed on as it came, and how it ended', async (t) => {
  const opened = sampleOpened({ receivedAt: Date.UTC(2026, 10, 2, 12) })
  const log = openBenchLog()
  const lane = log.lanes[0]!
  lane.decision(opened, { ...sampleInputs, answer: 'streamed' }, () => {})
  lane.flush()
  const before = await run(opened.id, '--data', log.dataDir)
  for (const section of [
    OPENED,
    TRIED,
    `\nStreamed\n  it is still open, or the process ended before the end was recorded\n`,
  ])
    t.ok(before.out.includes(section), `${section}\nin\n${before.out}`)
  lane.stream(sampleStream(opened))
  const after = await run(opened.id, '--data', closed(log))
  for (const section of [OPENED, TRIED, STREAMED])
    t.ok(after.out.includes(section), `${section}\nin\n${after.out}`)
  t.match(after.out, /^ {2}answer body: none: it was passed on as it came, and held nowhere$/m)
  t.match(after.out, /^ {2}decision: record 1 in .*\n {2}stream: record 2 in /m)
})

t.test('tells what went wrong with a stream, each thing once', async (t) => {
  const tell = async (more: Partial<StreamRecord>) => {
    const opened = sampleOpened()
    const log = logWith(opened)
    log.lanes[0]!.stream(sampleStream(opened, more))
    const { out } = await run(opened.id, '--json', '--data', closed(log))
    t.match(JSON.parse(out), { stream: { type: 'stream', stream: { id: opened.id } } })
    return (await run(opened.id, '--data', log.dataDir)).out
  }
  const broken = await tell({
    fate: 'broken',
    durationMs: 75_000,
    fault: { code: 'incomplete-stream', message: 'it ended without a finish reason', detail: '' },
    summary: { finishReason: '', usage: null, events: 1, problem: 'no finish reason' },
  })
  t.match(broken, /it broke off, and left the caller .* after 75\.0 s: 12\.1 KiB in 1 event were passed on/)
  t.match(broken, /because of incomplete-stream: .*: it ended without a finish reason/)
  t.match(broken, /by its dialect’s own rules it was not whole: no finish reason/)
  t.notMatch(broken, /tokens|stopped because/)
  const left = await tell({ fate: 'client-gone', summary: null, bodyBytes: 0 })
  t.match(left, /its caller was gone after 2346 ms: 0 B were passed on\n {2}the first byte came 210 ms/)
})

t.test('the tokens of an answer that was held are told with it', async (t) => {
  const record = sampleDecision({ finishReason: 'length', usage: { prompt: 7, completion: -1, total: -1 } })
  const { out } = await run(record.id, '--data', closed(logWith(record)))
  t.match(
    out,
    /of application\/json\n {2}the model stopped because of: length\n {2}tokens: 7 of the prompt\n\n/,
  )
})

t.test('which endpoints could be chosen is told where it was not all of them', async (t) => {
  const lineWith = async (eligible: number, isHealthIgnored: boolean): Promise<string> => {
    const sample = sampleDecision()
    const sieve = { eligible, endpoints: 4, isHealthIgnored }
    const record = { ...sample, attempts: [{ ...sample.attempts[0]!, sieve }] }
    const { out } = await run(record.id, '--data', closed(logWith(record)))
    return out.split('\n').find((line) => line.includes('1. after')) ?? ''
  }
  t.match(
    await lineWith(3, false),
    /as success; chosen from 3 of 4 endpoints: the others failed or were unhealthy$/,
  )
  t.match(
    await lineWith(4, true),
    /; chosen from all 4 endpoints: fewer than half were healthy, which was ignored$/,
  )
})

t.test('a version that its breaker refused was not asked anywhere', async (t) => {
  const [first] = sampleDecision().attempts
  const refused = { ...first!, endpoint: '', status: 0, faultCode: 'breaker-open', afterMs: 0.12 }
  const record = sampleDecision({ attempts: [refused, { ...first!, version: 'v1', role: 'fallback' }] })
  const { out } = await run(record.id, '--data', closed(logWith(record)))
  t.match(out, /^ {2}1\. after 120 µs: v2 as canary not asked: its breaker refused$/m)
  t.match(out, /^ {2}2\. .*: v1 as fallback at http/m)
})

t.test('finds what no segment holds yet', async (t) => {
  const record = sampleDecision()
  const log = logWith(record)
  log.lanes[0]!.flush()
  const { code, out } = await run(record.id, '--data', log.dataDir)
  t.equal(code, 0)
  t.match(out, /decision: journal\/0-\d+-1\.jnl, byte \d+, not sequenced yet/)
  t.match(out, /sticky key: not computed yet/)
  log.lanes[0]!.close()
})

t.test('--json gives the records as data', async (t) => {
  const record = sampleDecision()
  const { code, out } = await run(record.id.toUpperCase(), '--json', '--data', closed(logWith(record)))
  t.equal(code, 0)
  t.match(JSON.parse(out), {
    id: record.id,
    decision: { type: 'decision', decision: record, place: { sequence: 21 } },
    shadows: [],
  })
})

t.test('no caller writes to the operator’s terminal', async (t) => {
  const sample = sampleDecision()
  const client = { address: '10.0.0.5', userAgent: 'a\u009b31mb\u202ec\u001b[2J\u{e0041}' }
  const record = { ...sample, client, request: { ...sample.request, path: '/gr\u00fcn/\u0085' } }
  const dataDir = closed(logWith(record))
  const words = await run(record.id, '--data', dataDir)
  t.match(
    words.out,
    '10.0.0.5 (a\\u009b31mb\\u202ec\\u001b[2J\\udb40\\udc41) sent POST /gr\u00fcn/\\u0085 with',
  )
  const data = await run(record.id, '--json', '--data', dataDir)
  for (const { out } of [words, data]) t.notMatch(out, /(?!\n)[\p{Cc}\p{Cf}]/u)
  t.match(JSON.parse(data.out).decision.decision, { client, request: { path: '/gr\u00fcn/\u0085' } })
})

t.test('finds the log by its configuration', async (t) => {
  const record = sampleDecision()
  const dataDir = closed(logWith(record))
  const file = join(newFolder(), 'gateway.toml')
  const model = `[models.fraud]\nprotocol = "open-inference"\n[models.fraud.versions.v1]\nendpoints = ["http://127.0.0.1:1"]\n[models.fraud.route]\nprimary = "v1"\n`
  writeFileSync(file, `[server]\ndata_dir = ${JSON.stringify(dataDir)}\n${model}`)
  const { code, out, err } = await run(record.id, '--config', file)
  t.equal(code, 0, err)
  t.match(out, new RegExp(record.id))
})

t.test('1: the log does not know it; 2: wrong usage; 3: there is no log to ask', async (t) => {
  const dataDir = closed(logWith(sampleDecision()))
  const unknown = sampleDecision().id
  t.match(await run(unknown, '--data', dataDir), { code: 1, out: '', err: /knows no request/ })
  t.match(await run(unknown, '--json', '--data', dataDir), { code: 1, out: 'null\n' })
  t.match(await run(), { code: 2, err: /exactly one request id/ })
  t.match(await run('nonsense'), { code: 2, err: /'nonsense' is not a request id/ })
  t.match(await run(unknown, '--nonsense'), { code: 2, err: /Usage/ })
  t.match(await run('--help'), { code: 0, out: /Usage/ })
  t.match(await run(unknown, '--data', join(dataDir, 'nowhere')), { code: 3, err: /there is no log/ })
  t.match(await run(unknown, '--config', join(dataDir, 'nowhere.toml')), { code: 3, err: /--data DIR does/ })
  if (process.getuid?.() !== 0) {
    chmodSync(join(dataDir, 'segments'), 0)
    t.match(await run(unknown, '--data', dataDir), { code: 3, err: /cannot be read/ })
    chmodSync(join(dataDir, 'segments'), 0o700)
  }
})

t.test('of a request that the process died under, what is not known is said to be so', async (t) => {
  const before = openBenchLog()
  const [id] = [sampleDecision().id]
  const file = new InflightFile(before.parts[0]!, before.clock, { slotsMax: 16 })
  const what = { generation: 3, configHash: '5f'.repeat(32), model: 'fraud', version: 'v2' } as const
  const receivedAt = Date.UTC(2026, 10, 2, 12)
  file.begin({ id, receivedAt, afterMs: 1.5, role: 'canary', ...what }, 0)
  file.write()
  const dataDir = closed(openBenchLog({ dataDir: before.dataDir }))
  const { code, out } = await run(id, '--data', dataDir)
  t.equal(code, 0)
  t.match(out, /2026-11-02 12:00:00\.000 UTC; how long it took is not known/)
  t.match(out, /something of model fraud/)
  t.match(out, /1\. after 1\.50 ms: v2 as canary, begun; what became of it is not known/)
  t.match(out, /not known \(unknown_crash\): the process died while this request was under way/)
})
