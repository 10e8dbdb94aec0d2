/** The connection's machine: every state × event. */
import t from 'tap'
import {
  CONNECTING,
  type ConnectionEvent,
  type ConnectionState,
  step,
} from '../../src/forward/connection-state.ts'

const EVENTS: readonly ConnectionEvent[] = [
  'connected',
  'dispatched',
  'flushed',
  'bytes',
  'interim',
  'followed',
  'answered',
  'spent',
  'ended',
]

const STATES: Record<string, ConnectionState> = {
  connecting: CONNECTING,
  idle: { is: 'idle' },
  'sending awaited': { is: 'carrying', request: 'sending', answer: 'awaited' },
  'sending begun': { is: 'carrying', request: 'sending', answer: 'begun' },
  'sent awaited': { is: 'carrying', request: 'sent', answer: 'awaited' },
  'sent begun': { is: 'carrying', request: 'sent', answer: 'begun' },
  closed: { is: 'closed' },
}

/** Columns as EVENTS; `!` is a bug and throws. */
const TABLE: Record<string, readonly string[]> = {
  connecting: ['idle', '!', '!', '!', '!', '!', '!', '!', 'closed'],
  idle: ['!', 'sending awaited', '!', 'closed', '!', '!', '!', '!', 'closed'],
  'sending awaited': [
    ...['!', 'sending awaited', 'sent awaited', 'sending begun', 'sending awaited', 'sending awaited'],
    ...['closed', 'closed', 'closed'],
  ],
  'sending begun': [
    ...['!', 'sending begun', 'sent begun', 'sending begun', 'sending awaited', 'sending awaited'],
    ...['closed', 'closed', 'closed'],
  ],
  'sent awaited': [
    ...['!', 'sending awaited', 'sent awaited', 'sent begun', 'sent awaited', 'sent awaited'],
    ...['idle', 'closed', 'closed'],
  ],
  'sent begun': [
    ...['!', 'sending begun', 'sent begun', 'sent begun', 'sent awaited', 'sent awaited'],
    ...['idle', 'closed', 'closed'],
  ],
  closed: EVENTS.map(() => 'closed'),
}

t.test('every event in every state', async (t) => {
  for (const [from, row] of Object.entries(TABLE)) {
    for (const [index, event] of EVENTS.entries()) {
      const wanted = row[index]!
      const name = `${from} × ${event} → ${wanted}`
      if (wanted === '!') t.throws(() => step(STATES[from]!, event), /broken invariant/, name)
      else t.strictSame(step(STATES[from]!, event), STATES[wanted], name)
    }
  }
})
