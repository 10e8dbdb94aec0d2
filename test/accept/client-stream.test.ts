import type { HttpResponse } from 'uWebSockets.js'
import fc from 'fast-check'
import t from 'tap'
import { ClientStream } from '../../src/accept/client-stream.ts'
import { PUT_OFF_MS, ServerTimer } from '../../src/accept/server-timer.ts'
import { Sweep } from '../../src/kernel/sweep.ts'
import { ManualClock } from '../support/manual-clock.ts'

/**
 * The part of the server's response that a stream uses, as the server behaves (measured with 20.51.4): with a
 * length it takes what the kernel has room for and says where it is; chunks it takes whole and keeps what the
 * kernel refused, until something is written again.
 */
class ServerResponse {
  readonly sent: Buffer[] = []
  room: number
  #offset = 0
  #kept = 0
  #writable: (offset: number) => boolean = () => true
  ended = ''
  touched = ''

  constructor(room: number) {
    this.room = room
  }

  cork(work: () => void): void {
    this.#flush()
    work()
  }

  tryEnd(bytes: Uint8Array, total: number): [boolean, boolean] {
    const taken = Math.min(this.room, bytes.length)
    this.room -= taken
    this.#offset += taken
    this.sent.push(Buffer.from(bytes.subarray(0, taken)))
    if (this.#offset === total) this.ended = 'complete'
    return [taken === bytes.length, this.#offset === total]
  }

  getWriteOffset(): number {
    return this.#offset
  }

  write(bytes: Uint8Array): boolean {
    this.sent.push(Buffer.from(bytes))
    this.#kept += bytes.length
    this.#flush()
    return this.#kept === 0
  }

  end(): void {
    this.ended = 'complete'
  }

  pause(): void {
    this.touched += 'p'
  }

  resume(): void {
    this.touched += 'r'
  }

  close(): void {
    this.ended = 'broken'
  }

  onWritable(handler: (offset: number) => boolean): void {
    this.#writable = handler
  }

  /** The client read so many bytes. */
  give(room: number): void {
    this.room += room
    this.#writable(this.#offset)
  }

  get kept(): number {
    return this.#kept
  }

  #flush(): void {
    const gone = Math.min(this.room, this.#kept)
    this.room -= gone
    this.#kept -= gone
  }
}

const clock = new ManualClock()
const sweep = new Sweep(clock)
t.teardown(() => sweep.stop())

function begin(room: number, bodyBytes: number) {
  const http = new ServerResponse(room)
  const told: string[] = []
  const response = http as unknown as HttpResponse
  const stream = new ClientStream(
    response,
    { bodyBytes, writeHead: () => told.push('head'), timer: new ServerTimer(response, sweep), isLast: false },
    { drained: () => told.push('drained'), finished: () => told.push('finished') },
  )
  return { http, told, stream }
}

t.test(
  'every byte arrives once and in order, whatever is taken when, and from a buffer that is reused',
  async (t) => {
    const reads = fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 6 })
    const rooms = fc.array(fc.integer({ min: 1_000, max: 100_000 }), { minLength: 1, maxLength: 5 })
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(reads, rooms, fc.boolean(), (sizes, given, hasLength) => {
          const total = sizes.reduce((sum, size) => sum + size, 0)
          const { http, told, stream } = begin(given[0]!, hasLength ? total : -1)
          const shared = Buffer.alloc(200_000)
          const expected: Buffer[] = []
          sizes.forEach((size, index) => {
            shared.fill(index + 1)
            expected.push(Buffer.from(shared.subarray(0, size)))
            stream.write(shared.subarray(0, size))
            shared.fill(0xee)
          })
          stream.finish()
          for (let turn = 0; turn < 10_000 && http.ended === ''; turn += 1)
            http.give(given[turn % given.length]!)
          const all = Buffer.concat(http.sent)
          return (
            all.equals(Buffer.concat(expected)) && http.ended === 'complete' && told.at(-1) === 'finished'
          )
        }),
      ),
    )
  },
)

t.test('who writes is told to wait, and is called once all is taken', async (t) => {
  for (const bodyBytes of [1000, -1]) {
    const { http, told, stream } = begin(100, bodyBytes)
    t.equal(stream.write(new Uint8Array(100)), true)
    t.equal(stream.write(new Uint8Array(300)), false)
    t.equal(stream.write(new Uint8Array(10)), false)
    http.give(200)
    t.same(told, ['head'], 'not yet')
    http.give(10_000)
    t.same(told, ['head', 'drained'])
    t.equal(stream.pendingBytes, 0)
    t.equal(stream.write(new Uint8Array(1)), true)
  }
})

t.test(
  'of chunks, the server never has to keep more than two pieces, however little a client takes',
  async (t) => {
    const { http, stream } = begin(0, -1)
    stream.write(new Uint8Array(256 * 1024))
    let most = 0
    for (let turn = 0; turn < 100 && stream.pendingBytes > 0; turn += 1) {
      http.give(16 * 1024)
      most = Math.max(most, http.kept)
    }
    t.equal(stream.pendingBytes, 0)
    t.ok(most <= 128 * 1024, `${most} bytes`)
  },
)

t.test('a stream ends once: finished, broken off, or left', async (t) => {
  const broken = begin(1000, -1)
  broken.stream.write(Buffer.from('data: 1\n\n'))
  broken.stream.breakOff(Buffer.from('data: error\n\n'))
  broken.stream.finish()
  t.equal(broken.http.ended, 'broken')
  t.equal(Buffer.concat(broken.http.sent).toString(), 'data: 1\n\ndata: error\n\n')
  t.same(broken.told, ['head'])

  const lengthy = begin(1000, 50)
  lengthy.stream.write(new Uint8Array(10))
  lengthy.stream.breakOff(Buffer.from('no room for words'))
  t.equal(Buffer.concat(lengthy.http.sent).length, 10, 'last words would be taken for the body')

  const left = begin(0, -1)
  left.stream.write(new Uint8Array(10))
  left.stream.leave()
  left.stream.write(new Uint8Array(10))
  left.stream.finish()
  left.http.give(1000)
  t.equal(left.stream.isOver, true)
  t.equal(left.stream.pendingBytes, 0)
  t.same(left.told, ['head'])

  const empty = begin(1000, -1)
  empty.stream.finish()
  t.equal(empty.http.ended, 'complete')
  t.same(empty.told, ['head', 'finished'])
})

t.test(
  'the server’s timer is put off for a client that was slow once, until the stream is over',
  async (t) => {
    const turns = (count: number) => {
      for (let turn = 0; turn < count; turn += 1) {
        clock.advance(PUT_OFF_MS)
        sweep.run()
      }
    }
    for (const end of ['finish', 'breakOff', 'leave'] as const) {
      const { http, stream } = begin(100, -1)
      stream.write(new Uint8Array(100))
      turns(2)
      t.equal(http.touched, '', 'who takes everything at once is left alone')
      stream.write(new Uint8Array(100))
      turns(2)
      t.equal(http.touched, 'prpr', 'paused and resumed, in this order')
      http.give(1000)
      turns(1)
      t.equal(http.touched, 'prprpr')
      if (end === 'breakOff') stream.breakOff(new Uint8Array(0))
      else stream[end]()
      turns(2)
      t.equal(http.touched, 'prprpr', `a response that is over is not touched: ${end}`)
    }
  },
)

t.test('who takes nothing for too long is given up, once', async (t) => {
  const response = new ServerResponse(0)
  const timer = new ServerTimer(response as unknown as HttpResponse, sweep)
  let givenUp = 0
  const wait = () => timer.putOff(2, () => (givenUp += 1))
  wait()
  for (const expected of [0, 0, 1, 1]) {
    sweep.run()
    t.equal(givenUp, expected)
    clock.advance(PUT_OFF_MS)
  }
  givenUp = 0
  wait()
  for (let turn = 0; turn < 5; turn += 1) {
    clock.advance(PUT_OFF_MS)
    sweep.run()
    wait()
  }
  t.equal(givenUp, 0, 'whoever takes something is waited for again')
  timer.leaveAlone()
})
