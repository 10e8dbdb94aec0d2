/** The kinds of record and their numbers in a frame. Numbers are for ever: new kinds are added at the end. */

export const RECORD_TYPES = {
  /** One request, however it ended. */
  decision: 1,
  /** What became of one shadow copy. */
  shadow: 2,
  /** A version's circuit breaker changed its state. */
  breaker: 3,
  /** A configuration came into force. */
  config: 4,
  /** The gateway began, or ended in order. */
  start: 5,
  stop: 6,
  /** Records that could not be written, counted exactly. */
  gap: 7,
  /** What was found, and what was done, when a log was opened that had not been closed. */
  recovery: 8,
  /** What a reader coming from the end need not look for further back. */
  mark: 9,
  /** How an answer ended that was passed on as it came. */
  stream: 10,
  /** An endpoint is passed over because it keeps failing, or is used again. */
  endpoint: 11,
  /** Connections that ended before a request of theirs could be read. */
  unread: 12,
  /** A lane became shorter of time or memory, or less short. */
  pressure: 13,
  /** A lane was replaced because of an error that nobody caught in it. */
  lane: 14,
  /** What became of a decision later: a label, a reward, money. */
  outcome: 15,
  /** A change was approved or rejected. */
  approval: 16,
  /** A rollout took a step, paused or rolled back. */
  rollout: 17,
  /** A principal was let in or refused. */
  auth: 18,
  /** The log was read, searched or exported. */
  access: 19,
  /** The key that signs checkpoints from here on. */
  key: 20,
  /** The beginning of the log was deleted because its time was over. */
  prune: 21,
  /** What a person wanted to be on record. */
  note: 22,
  /** A body of one request, redacted and encrypted. */
  capture: 23,
  /** A subject's key was destroyed. */
  erase: 24,
  /** Deleting was forbidden, or allowed again. */
  hold: 25,
} as const

export type RecordType = keyof typeof RECORD_TYPES

/** Records whose payload is a plain map, named fields as they are. */
export type NoteType = Exclude<RecordType, 'decision' | 'shadow' | 'stream' | 'capture'>

const NAMES = new Map<number, RecordType>(
  Object.entries(RECORD_TYPES).map(([name, number]) => [number, name as RecordType]),
)

/** Undefined for a type of a later version. */
export function recordTypeOf(number: number): RecordType | undefined {
  return NAMES.get(number)
}
