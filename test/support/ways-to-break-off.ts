/** Every way in which an endpoint can break off its answer, as a script and what its caller is to see of it. */
import type { FaultCode } from '../../src/domain/fault.ts'
import { pour } from './large-answers.ts'
import { PATIENCE } from './patient.ts'
import type { Script } from './scripted-upstream.ts'

export const MIB = 1024 * 1024
export const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'
const EVENTS = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'
const ONE = '9\r\ndata: 1\n\n\r\n'

/** Opened once the callers have got what they are to get of an answer. */
interface Gate {
  readonly opened: Promise<void>
  open(): void
}

function newGate(): Gate {
  let open: () => void = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

/** Sends this and ends as told. A reset would take along what the gateway has not read yet: it waits for its gate. */
export function then(
  end: 'fin' | 'reset' | 'silence' | Gate,
  ...pieces: readonly (string | Uint8Array)[]
): Script {
  return async (connection) => {
    await connection.request()
    for (const piece of pieces) {
      connection.send(piece)
      await connection.pause(20)
    }
    if (typeof end === 'object') {
      await end.opened
      connection.reset()
    } else if (end === 'fin') connection.finish()
    else if (end === 'reset') connection.reset()
    else await connection.closed
  }
}

export interface Break {
  readonly name: string
  readonly script: Script
  readonly code: FaultCode
  /** How the caller learns of it: by another answer, by a message that is cut, or by an end without a message. */
  readonly seen: 'answer' | 'cut'
  /** Of the endpoint's body, what the caller may have got at most, where it was cut. */
  readonly bytesMax?: number
  /** Opened when both callers have so many bytes of the body as they may get. */
  readonly gate?: Gate
  /** Only the timer that is to run out is short: a stall must not make another run out. */
  readonly timers?: string
}

const EVENTS_GATE = newGate()
const CLOSE_GATE = newGate()
const SHORT_IDLE = PATIENCE.replace('idle = "20s"', 'idle = "300ms"')

export const BREAKS: readonly Break[] = [
  {
    name: 'a small answer ends before its length',
    script: then('fin', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort'),
    code: 'truncated-answer',
    seen: 'answer',
  },
  {
    name: 'a large answer ends before its length',
    script: then('fin', `HTTP/1.1 200 OK\r\ncontent-length: ${MIB}\r\n\r\n`, Buffer.alloc(MIB - 1)),
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: MIB - 1,
  },
  {
    name: '32 MiB are announced and the endpoint dies at 16',
    script: async (connection) => {
      await connection.request()
      await pour(connection, `/length/${32 * MIB}`, 16 * MIB)
    },
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 16 * MIB,
  },
  {
    name: 'chunks end without a last one',
    script: then('fin', `${CHUNKED}5\r\nhello\r\n`),
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 5,
  },
  {
    name: 'the last chunk is there, the empty line after it is not',
    script: then('fin', `${CHUNKED}5\r\nhello\r\n0\r\n`),
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 5,
  },
  {
    name: 'chunks end in the middle of a size',
    script: then('fin', `${CHUNKED}5\r\nhello\r\n1`),
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 5,
  },
  {
    name: 'chunks end in the middle of one',
    script: then('fin', `${CHUNKED}5\r\nhello\r\n5\r\nhe`),
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 7,
  },
  {
    name: 'a chunk has no size',
    script: then('silence', `${CHUNKED}5\r\nhello\r\n`, 'G\r\n'),
    code: 'malformed-answer',
    seen: 'cut',
    bytesMax: 5,
  },
  {
    name: 'a chunk is longer than its size',
    script: then('silence', `${CHUNKED}5\r\nhello\r\n`, '2\r\nabc\r\n'),
    code: 'malformed-answer',
    seen: 'cut',
    bytesMax: 7,
  },
  {
    name: 'events end without an end',
    script: then('fin', EVENTS + ONE),
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 9,
  },
  {
    name: 'events end by a reset',
    script: then(EVENTS_GATE, EVENTS + ONE),
    gate: EVENTS_GATE,
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 9,
  },
  {
    name: 'an answer until close ends by a reset',
    script: then(CLOSE_GATE, 'HTTP/1.1 200 OK\r\n\r\n', 'hello'),
    gate: CLOSE_GATE,
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 5,
  },
  {
    name: 'events pause for too long',
    script: then('silence', EVENTS + ONE),
    timers: SHORT_IDLE,
    code: 'idle-timeout',
    seen: 'cut',
    bytesMax: 9,
  },
  {
    name: 'a large answer pauses for too long',
    script: then(
      'silence',
      Buffer.concat([
        Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${MIB}\r\n\r\n`),
        Buffer.alloc(MIB / 2),
      ]),
    ),
    timers: SHORT_IDLE,
    code: 'idle-timeout',
    seen: 'cut',
    bytesMax: MIB / 2,
  },
  {
    name: 'events go on for too long',
    script: async (connection) => {
      await connection.request()
      connection.send(EVENTS)
      await connection.drip(ONE.repeat(1000), 50, ONE.length)
    },
    timers: 'total = "600ms"',
    code: 'total-timeout',
    seen: 'cut',
  },
  {
    name: 'no byte comes',
    script: then('silence'),
    timers: PATIENCE.replace('first_byte = "20s"', 'first_byte = "300ms"'),
    code: 'first-byte-timeout',
    seen: 'answer',
  },
  { name: 'a reset comes first', script: then('reset'), code: 'closed-before-answer', seen: 'answer' },
  {
    name: 'the head breaks off',
    script: then('fin', 'HTTP/1.1 200 OK\r\ncontent-'),
    code: 'truncated-answer',
    seen: 'answer',
  },
  {
    name: 'events are announced and none comes',
    script: then('silence', EVENTS),
    timers: SHORT_IDLE,
    code: 'idle-timeout',
    seen: 'answer',
  },
  {
    name: 'events are announced and the connection ends',
    script: then('fin', EVENTS),
    code: 'truncated-answer',
    seen: 'answer',
  },
  {
    name: 'chunks are announced and none comes',
    script: then('silence', CHUNKED),
    timers: SHORT_IDLE,
    code: 'idle-timeout',
    seen: 'answer',
  },
  {
    name: 'chunks are announced and the connection ends',
    script: then('fin', CHUNKED),
    code: 'truncated-answer',
    seen: 'answer',
  },
]
