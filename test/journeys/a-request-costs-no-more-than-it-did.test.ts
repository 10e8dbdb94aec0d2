/**
 * What a request costs does not grow unnoticed. Counted are things that do not depend on how busy the machine is: calls
 * to the kernel and bytes allocated by the lane, per request. The stored figures are what was counted; they may be
 * lowered by whoever makes a request cheaper, and raised in the commit that knows why it has to cost more.
 */
import t, { type Test } from 'tap'
import { PATIENT } from '../support/patient.ts'
import { type Counted, requestCosts, startAnswering, startCounted } from '../support/request-costs.ts'

/**
 * Equal runs differ by 0.3 % in bytes; another order of compilation by the engine was seen to make 2 %. A new object or closure for each
 * request is 50 to 200 bytes, so a margin of 5 % notices what is worth noticing. Calls are exact but for the looks at the log
 * twice a second and a pause of the collector, which most of the short windows are free of.
 */
const BYTES_MARGIN = 1.05
const CALLS_MARGIN = 0.05
/** Objects have other sizes in other engines: there, only a gross growth is told. */
const STORED_FOR_NODE = 20
const OTHER_NODE_MARGIN = 1.5

interface Stored {
  readonly reads: number
  readonly writes: number
  readonly heapBytes: number
  readonly bufferBytes: number
  /** Every call of the lane that moves bytes: the caller's side, the endpoint's, the journal. */
  readonly calls: number
}

const SERVER = '[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nlanes = 1\ndata_dir = "data"\n'
const BODY = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] }] })
const ANSWER = JSON.stringify({ outputs: [{ name: 'y', datatype: 'FP32', shape: [1], data: [0.5] }] })

function configurationOf(port: number): string {
  const version = (name: string): string => `[models.${name}]\nendpoints = ["http://127.0.0.1:${port}"]\n`
  return `${SERVER}
[models.plain]
protocol = "raw"
${PATIENT}
${version('plain.versions.v1')}
[models.shadowed]
${PATIENT}
key = ["header:x-user-id"]
${version('shadowed.versions.v1')}${version('shadowed.versions.v2')}${version('shadowed.versions.v3')}
[models.shadowed.route]
primary = "v1"
canary = { version = "v2", percent = 10 }
shadows = [{ version = "v3", percent = 100 }]
`
}

/** Told in the runner's own words for what is not run. */
function notHere(): string | false {
  return process.platform === 'linux' ? false : 'NOT RUN: the counts are read from /proc'
}

function requestTo(path: string): string {
  const headers =
    'host: bench\r\nuser-agent: bench\r\naccept: */*\r\nx-user-id: u42\r\ncontent-type: application/json'
  return `POST ${path} HTTP/1.1\r\n${headers}\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`
}

async function hold(t: Test, counted: Counted, path: string, stored: Stored): Promise<void> {
  const isStoredNode = Number(process.versions.node.split('.')[0]) === STORED_FOR_NODE
  const margin = isStoredNode ? BYTES_MARGIN : OTHER_NODE_MARGIN
  const limits = {
    heapBytes: stored.heapBytes * margin,
    bufferBytes: stored.bufferBytes * margin + 16,
    calls: stored.calls + 2 * CALLS_MARGIN,
  }
  const costs = await requestCosts(counted, requestTo(path), limits)
  const most = (what: string, counted: number, limit: number): void => {
    t.comment(`${what}: ${counted.toFixed(2)}, at most ${limit.toFixed(2)}`)
    t.ok(
      counted <= limit,
      `${what} of a request: ${counted.toFixed(2)}, and were at most ${limit.toFixed(2)}`,
    )
  }
  most('reads', costs.reads, stored.reads + CALLS_MARGIN)
  most('writes', costs.writes, stored.writes + CALLS_MARGIN)
  most('bytes of objects', costs.heapBytes, limits.heapBytes)
  most('bytes of buffers', costs.bufferBytes, limits.bufferBytes)
  if (costs.calls === undefined) {
    t.comment(
      'NOT RUN: counting all system calls, because strace is missing or may not trace (Debian: apt-get install strace)',
    )
    return
  }
  const told = [...costs.calls].map(([name, count]) => `${name} ${count.toFixed(2)}`).join(', ')
  t.comment(told)
  most(
    `calls (${told})`,
    [...costs.calls.values()].reduce((sum, count) => sum + count, 0),
    limits.calls,
  )
}

t.test('what is counted of a request does not grow', { skip: notHere() }, async (t) => {
  const port = await startAnswering(t, ANSWER)
  const counted = await startCounted(t, configurationOf(port))

  await t.test('passing it on costs no more calls and no more memory', async (t) => {
    await hold(t, counted, '/models/plain/score', {
      reads: 1,
      // To the endpoint, to the log, and the note that it is under way.
      writes: 3,
      heapBytes: 16_550,
      bufferBytes: 551,
      calls: 6,
    })
  })

  await t.test('neither does a split with a shadow of every request', async (t) => {
    await hold(t, counted, '/v2/models/shadowed/infer', {
      reads: 2,
      // The copy's outcome is a record of its own; whether it leaves with the next decision's depends on the turns of the loop.
      writes: 5,
      heapBytes: 26_400,
      bufferBytes: 1070,
      calls: 9,
    })
  })
})
