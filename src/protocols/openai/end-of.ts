/**
 * How a streamed answer that is held whole ended, by its last bytes alone: reading all of its events would cost a lane up
 * to 9 µs each, a second for a MiB of the smallest (Node 20, a shared core). An error is the last thing but [DONE] that a
 * stream says; one that is followed by more than that, or longer, is not found.
 */
import { Buffer } from 'node:buffer'
import { headerOf, mediaTypeOf } from '../../domain/head.ts'
import type { Answer } from '../../domain/outcome.ts'
import { dataOf } from '../event-data.ts'
import { EventFramer } from '../event-framer.ts'
import type { StreamEnd } from '../protocol.ts'
import { readChunk } from './read-event.ts'

const LOOKED_AT_BYTES = 4 * 1024
/** Of the events in them, the last ones. */
const LOOKED_AT_EVENTS = 4
const DONE = /(?:^|[\r\n])data: ?\[DONE\]/
const WELL: StreamEnd = { problem: '' }

export function endOf({ headers, body }: Answer): StreamEnd | null {
  if (mediaTypeOf(headers) !== 'text/event-stream') return null
  if ((headerOf(headers, 'content-encoding') ?? 'identity') !== 'identity') return null
  const end = Buffer.from(body.buffer, body.byteOffset, body.length).subarray(-LOOKED_AT_BYTES)
  return errorIn(end) ?? (DONE.test(end.toString('latin1')) ? WELL : { problem: 'without [DONE]' })
}

function errorIn(end: Uint8Array): StreamEnd | null {
  for (const event of lastEvents(end)) {
    const data = dataOf(event, false)
    const chunk = data === null ? null : readChunk(data.bytes)
    if (chunk?.isError || data?.isError)
      return { problem: 'with an error event', isCallersDoing: chunk?.isCallersError ?? false }
  }
  return null
}

/** Cut at its front, the first may be no event; it is not well-formed then. */
function lastEvents(end: Uint8Array): readonly Uint8Array[] {
  const events: Uint8Array[] = []
  const framer = new EventFramer({ event: (bytes) => events.push(bytes), unseen: () => {} })
  framer.push(end)
  return events.slice(-LOOKED_AT_EVENTS)
}
