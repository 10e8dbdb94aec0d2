/**
 * A week whose truth is known: version v2 got a fifth of the traffic on Wednesday morning, failed, was slow, lost money,
 * had its breaker open, and was taken back on Thursday. Nobody had approved the way back. On Friday the disk was
 * full for four seconds, on Saturday the process was killed.
 */
import { LogTables } from './log-tables.ts'

export const WEEK = { from: Date.parse('2026-11-09T00:00Z'), to: Date.parse('2026-11-16T00:00Z') }
export const CONFIG_A = 'aaaaaaaaaaaa'.padEnd(64, '0')
export const CONFIG_B = 'bbbbbbbbbbbb'.padEnd(64, '0')

const MONDAY = '2026-11-09 00:00:00'
const OUT = '2026-11-11 09:00:00'
const BACK = '2026-11-12 14:20:00'
const END = '2026-11-16 00:00:00'

export async function badWeek(): Promise<LogTables> {
  const log = await LogTables.open()
  await traffic(log)
  await people(log)
  await machinery(log)
  return log
}

/** 60,000 requests to the model in the week, of 40 questions, 500 before it and 2,000 to another model besides. */
async function traffic(log: LogTables): Promise<void> {
  await log.requests({ from: '2026-11-02 00:00:00', to: MONDAY, requests: 500, version: 'v1' })
  await log.requests({ from: MONDAY, to: END, requests: 2000, version: 'v9', model: 'price' })
  await log.requests({ from: MONDAY, to: END, requests: 40, version: 'v1', operation: 'ready' })

  await log.requests({ from: MONDAY, to: OUT, requests: 20_000, version: 'v1', ms: 10, profit: 0.5 })
  await log.requests({
    from: MONDAY,
    to: OUT,
    requests: 40,
    version: '',
    meant: 'v1',
    outcome: 'endpoint-error',
  })

  await log.requests({ from: OUT, to: BACK, requests: 8000, version: 'v1', ms: 10, profit: 0.5 })
  await log.requests({
    from: OUT,
    to: BACK,
    requests: 16,
    version: '',
    meant: 'v1',
    outcome: 'endpoint-error',
  })
  await log.requests({ from: OUT, to: BACK, requests: 1500, version: 'v2', ms: 60, profit: -2.5 })
  const troubled = { from: OUT, to: BACK, version: '', meant: 'v2' }
  await log.requests({ ...troubled, requests: 100, outcome: 'first-byte-timeout' })
  const open = { from: '2026-11-12 03:00:00', to: '2026-11-12 03:40:00', version: 'v1', meant: 'v2' }
  await log.requests({ ...open, requests: 300, degraded: 'version:v1', outcome: 'breaker-open', callers: 30 })
  await log.requests({
    ...troubled,
    requests: 100,
    degraded: 'reply:calm.json',
    outcome: 'first-byte-timeout',
  })

  await log.requests({ from: BACK, to: END, requests: 29_741, version: 'v1', ms: 10, profit: 0.5 })
  await log.requests({
    from: BACK,
    to: END,
    requests: 60,
    version: '',
    meant: 'v1',
    outcome: 'endpoint-error',
  })
  await log.requests({ from: BACK, to: END, requests: 100, version: '', meant: 'v1', outcome: 'client-gone' })
  await log.requests({ from: BACK, to: END, requests: 40, version: 'v1', kept: 'cached' })
  const crash = { from: '2026-11-14 02:00:00', to: '2026-11-14 02:00:01', requests: 3 }
  await log.requests({ ...crash, version: '', meant: 'v1', outcome: 'unknown_crash' })

  await log.streams('complete', 8, '2026-11-10 00:00:00')
  await log.streams('broken', 2, '2026-11-10 00:00:00')
  await log.shadows({ from: MONDAY, to: END, requests: 9700, version: 'v3', agreement: 'agree' })
  await log.shadows({ from: MONDAY, to: END, requests: 300, version: 'v3', agreement: 'differ' })
}

async function people(log: LogTables): Promise<void> {
  const ana = { by: 'ana', isApproved: true }
  const c40 = { change: 'c-40', base: '', result: CONFIG_A, words: 'v1 for everybody' }
  const c41 = {
    change: 'c-41',
    base: CONFIG_A,
    result: CONFIG_B,
    words: 'a fifth for v2, looks good offline',
  }
  await log.event('approval', '2026-11-01 16:00:00', { ...ana, ...c40 })
  await log.event('config', '2026-11-02 08:00:00', { generation: 1, hash: CONFIG_A, file: 'gateway.toml' })
  await log.event('approval', '2026-11-11 08:30:00', { ...ana, ...c41 })
  await log.event('config', OUT, { generation: 1, hash: CONFIG_B, file: 'gateway.toml' })
  await log.event('note', '2026-11-12 14:05:00', {
    by: 'ben',
    words: 'chargebacks of v2 look wrong, taking it back',
  })
  await log.event('config', BACK, { generation: 1, hash: CONFIG_A, file: 'gateway.toml' })
}

async function machinery(log: LogTables): Promise<void> {
  const v2 = { model: 'fraud', version: 'v2', enforced: true }
  const cause = '12 of 20 requests failed in 10 s (limit 0.5); open for 1 s'
  await log.event('breaker', '2026-11-12 03:00:00', { ...v2, from: 'closed', to: 'open', cause })
  const probes = { from: 'open', to: 'half-open', cause: 'open for 1 s, now 3 probes may try' }
  await log.event('breaker', '2026-11-12 03:00:01', { ...v2, ...probes })
  const failed = { from: 'half-open', to: 'open', cause: 'a probe failed; open for 60 s' }
  await log.event('breaker', '2026-11-12 03:00:02', { ...v2, ...failed })
  await log.event('breaker', '2026-11-12 03:39:00', { ...v2, ...probes })
  const closed = { from: 'half-open', to: 'closed', cause: '3 of 3 probes succeeded' }
  await log.event('breaker', '2026-11-12 03:40:00', { ...v2, ...closed })
  const endpoint = { model: 'fraud', version: 'v2', endpoint: 'http://10.0.0.12:8000', lane: 0, forMs: 1000 }
  await log.event('endpoint', '2026-11-12 02:55:00', { ...endpoint, out: true, cause: '5 failures in a row' })
  await log.event('endpoint', '2026-11-12 02:57:00', { ...endpoint, out: false, cause: 'it answers again' })

  const pruned = { by: 'retention', records: 9000, through: 9000, root: '', cause: 'older than 400 d' }
  await log.event('prune', '2026-11-03 04:00:00', pruned)
  const start = { version: '0.1.0', node: 'v20', platform: 'linux', lanes: 1, pid: 1 }
  await log.event('start', '2026-11-02 08:00:00', start)
  await log.event('stop', '2026-11-11 08:59:50', { cause: 'SIGTERM', abandoned: 0 })
  await log.event('start', '2026-11-11 08:59:59', start)
  await log.event('stop', '2026-11-12 14:19:50', { cause: 'SIGTERM', abandoned: 0 })
  await log.event('start', '2026-11-12 14:19:59', start)
  const since = Date.parse('2026-11-13T10:00:00Z')
  await log.event('gap', '2026-11-13 10:00:04', {
    lane: 0,
    since,
    records: 37,
    from: 1,
    to: 37,
    cause: 'ENOSPC',
  })
  await log.event('start', '2026-11-14 02:00:05', start)
  const torn = [{ file: 'a', kept: 'torn/0-1-1.jnl.64.torn', at: 64, bytes: 512, where: 'tail' }]
  const recovery = { journals: 1, replayed: 812, known: 10, digestsLost: 4, missing: 0, torn }
  await log.event('recovery', '2026-11-14 02:00:05', recovery)
  await log.event('config', '2026-11-14 02:00:06', { generation: 1, hash: CONFIG_A, file: 'gateway.toml' })
}
