/**
 * The life of one connection as a machine: no socket, no time. The two halves of what it carries (all that
 * is to be sent, the one answer that is next) are told apart, because an endpoint may answer before it has taken the whole request (413, 429).
 *
 * A connection is used again only if both halves ended well: the request was taken to its last byte and
 * the answer was read to its last byte with nothing after it. Everything else ends in 'closed', from
 * where nothing leads out. Every state × event: test/forward/connection-state.test.ts.
 */
import { assert } from '../kernel/assert.ts'

export type ConnectionState =
  | { readonly is: 'connecting' }
  | { readonly is: 'idle' }
  | { readonly is: 'carrying'; readonly request: 'sending' | 'sent'; readonly answer: 'awaited' | 'begun' }
  | { readonly is: 'closed' }

/**
 * connected · dispatched: a request was handed to the socket, the first or one behind others · flushed: the
 * kernel has all there was to send · bytes: something arrived · interim: it was a 1xx answer and nothing
 * more · followed: the answer is complete, and the next one is awaited · answered: complete, it was the
 * last, and the endpoint keeps the connection · spent: complete, but not to be used again · ended: FIN,
 * error, or our own decision to close.
 */
export type ConnectionEvent =
  | 'connected'
  | 'dispatched'
  | 'flushed'
  | 'bytes'
  | 'interim'
  | 'followed'
  | 'answered'
  | 'spent'
  | 'ended'

export const CONNECTING: ConnectionState = { is: 'connecting' }
const IDLE: ConnectionState = { is: 'idle' }
const CLOSED: ConnectionState = { is: 'closed' }
const CARRYING = {
  sending: {
    awaited: { is: 'carrying', request: 'sending', answer: 'awaited' },
    begun: { is: 'carrying', request: 'sending', answer: 'begun' },
  },
  sent: {
    awaited: { is: 'carrying', request: 'sent', answer: 'awaited' },
    begun: { is: 'carrying', request: 'sent', answer: 'begun' },
  },
} as const satisfies Record<string, Record<string, ConnectionState>>

/** An event that cannot happen in a state is a bug and throws. */
export function step(state: ConnectionState, event: ConnectionEvent): ConnectionState {
  if (event === 'ended' || state.is === 'closed') return CLOSED
  switch (state.is) {
    case 'connecting':
      assert(event === 'connected', `${event} while connecting`)
      return IDLE
    case 'idle':
      // Bytes nobody asked for: the next answer would be mistaken for them.
      if (event === 'bytes') return CLOSED
      assert(event === 'dispatched', `${event} while idle`)
      return CARRYING.sending.awaited
    case 'carrying':
      return stepCarrying(state, event)
  }
}

function stepCarrying(
  state: Extract<ConnectionState, { is: 'carrying' }>,
  event: ConnectionEvent,
): ConnectionState {
  switch (event) {
    case 'dispatched':
      return CARRYING.sending[state.answer]
    case 'flushed':
      return CARRYING.sent[state.answer]
    case 'bytes':
      return CARRYING[state.request].begun
    case 'interim':
    case 'followed':
      return CARRYING[state.request].awaited
    case 'answered':
      // What is left of an unfinished request cannot be taken back, so it ends with the connection.
      return state.request === 'sent' ? IDLE : CLOSED
    case 'spent':
      return CLOSED
    default:
      assert(false, `${event} while carrying a request`)
  }
}
