/**
 * The reader against Node's own HTTP client, which shares no code with it. Well-formed answers are read
 * alike; of damaged ones, whatever the reader accepts as complete, Node accepts too and reads the same.
 * The reader may refuse more than Node does: that is the point of it.
 */
import { Buffer } from 'node:buffer'
import { request } from 'node:http'
import { Duplex } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { read } from './corpus.ts'

interface Seen {
  readonly outcome: 'end' | 'failed'
  readonly status: number
  readonly body: string
}

/** What Node makes of these bytes followed by FIN. */
function nodeReads(bytes: Buffer, method: string): Promise<Seen> {
  return new Promise((resolve) => {
    const socket = new Duplex({
      read() {},
      write: (_chunk, _encoding, done) => done(),
    })
    let hasBegun = false
    const failed = () => resolve({ outcome: 'failed', status: 0, body: '' })
    const outgoing = request({ method, host: 'x', createConnection: () => socket }, (answer) => {
      hasBegun = true
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('error', failed)
      answer.on('aborted', failed)
      answer.on('end', () => {
        const body = Buffer.concat(parts).toString('latin1')
        resolve({ outcome: answer.complete ? 'end' : 'failed', status: answer.statusCode ?? 0, body })
      })
    })
    outgoing.on('error', failed)
    outgoing.on('upgrade', failed)
    // Without any answer; one that has begun reports its own end, which may come after this.
    outgoing.on('close', () => hasBegun || failed())
    outgoing.end()
    socket.push(bytes)
    socket.push(null)
  })
}

const token = fc.stringMatching(/^x-[a-z0-9]{1,8}$/)
const text = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/)
const payload = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes))

const head = fc.record({
  status: fc.constantFrom(200, 201, 204, 304, 400, 404, 429, 500, 503, 599),
  headers: fc.array(fc.tuple(token, text), { maxLength: 4 }),
})

const framed = fc.oneof(
  payload.map((body) => ({ lines: [`Content-Length: ${body.length}`], wire: body })),
  payload.map((body) => ({ lines: [] as string[], wire: body })),
  fc
    .record({
      parts: fc.array(
        payload.filter((part) => part.length > 0),
        { maxLength: 4 },
      ),
      extension: fc.boolean(),
    })
    .map(({ parts, extension }) => ({
      lines: ['Transfer-Encoding: chunked'],
      wire: Buffer.concat([
        ...parts.flatMap((part) => [
          Buffer.from(`${part.length.toString(16)}${extension ? ';a=b' : ''}\r\n`),
          part,
          Buffer.from('\r\n'),
        ]),
        Buffer.from('0\r\n\r\n'),
      ]),
    })),
)

const answers = fc
  .record({ method: fc.constantFrom('GET', 'POST', 'HEAD'), interim: fc.boolean(), head, framed })
  .map(({ method, interim, head: { status, headers }, framed: { lines, wire } }) => {
    const bodiless = method === 'HEAD' || status === 204 || status === 304
    const all = [...headers.map(([name, value]) => `${name}: ${value}`), ...(status === 204 ? [] : lines)]
    const opening = `${interim ? 'HTTP/1.1 100 Continue\r\n\r\n' : ''}HTTP/1.1 ${status} Some Reason\r\n`
    const headBytes = Buffer.from(`${opening}${all.map((line) => `${line}\r\n`).join('')}\r\n`, 'latin1')
    return { method, status, bytes: bodiless ? headBytes : Buffer.concat([headBytes, wire]) }
  })

t.test('well-formed answers are read as Node reads them', async (t) => {
  const law = fc.asyncProperty(answers, async ({ method, status, bytes }) => {
    const ours = read([bytes], method)
    const theirs = await nodeReads(bytes, method)
    const seen = { outcome: ours.outcome, status: ours.status, body: ours.body }
    return seen.outcome === 'end' && seen.status === status && JSON.stringify(seen) === JSON.stringify(theirs)
  })
  await t.resolves(fc.assert(law, { numRuns: 400 }))
})

t.test('what is accepted of damaged answers, Node accepts and reads the same', async (t) => {
  const bytes = fc.constantFrom(...Buffer.from('\r\n\0 \t:;,0159afx\x7f\x0b+-'))
  const edits = fc.array(fc.tuple(fc.nat(300), bytes, fc.constantFrom('set', 'insert', 'delete')), {
    minLength: 1,
    maxLength: 2,
  })
  let accepted = 0
  const law = fc.asyncProperty(answers, edits, async (answer, changes) => {
    const list = [...answer.bytes]
    for (const [place, byte, how] of changes) {
      const at = place % (list.length + 1)
      if (how === 'insert') list.splice(at, 0, byte)
      else if (how === 'delete') list.splice(at, 1)
      else if (at < list.length) list[at] = byte
    }
    const damaged = Buffer.from(list)
    // Node checks the grammar inside a chunk extension; the reader throws it away unread.
    if (/\n[0-9a-f]+;/i.test(damaged.toString('latin1'))) return true
    const ours = read([damaged], answer.method)
    if (ours.outcome !== 'end' || ours.surplus > 0) return true
    accepted += 1
    const theirs = await nodeReads(damaged, answer.method)
    return theirs.outcome === 'end' && theirs.status === ours.status && theirs.body === ours.body
  })
  await t.resolves(fc.assert(law, { numRuns: 1_500 }))
  t.ok(accepted > 100, `some damage leaves a valid answer (${accepted})`)
})
