/**
 * Finds the records of one request in a sealed segment: its trailer tells whether any request of that time is in it,
 * its index which blocks may hold the id, and only these are unpacked. A stream's end may lie far behind its decision; it
 * carries the same id and is found in the same way. The time is the one in the id, so a clock that was set hides nothing.
 *
 * Sealed segments never change, so trailers and indexes are kept in memory, within bounds: a gateway that is asked again
 * reads one block. Files are read synchronously: a hundred small reads of what the system has in memory take 1 ms, and 10
 * when each goes by another thread.
 */
import { LRUCache } from 'lru-cache'
import { systemDisk } from '../disk.ts'
import { Frame } from '../frame.ts'
import { hasRequestId, isIdAt, sequencedIdAt, timeOfId } from '../records/request-id-place.ts'
import { BlockFrames, type OpenBlock } from './block.ts'
import type { BlockEntry, TimeRange } from './block-index.ts'
import { mayHold } from './id-filter.ts'
import { SealedFile, SealedRoom } from './sealed-file.ts'

/** Of indexes in memory: 16 bits and a little for every record, so those of about 20 million. */
const INDEX_BYTES_MAX = 32 * 1024 * 1024
/** Of a path and what lies under it, roughly; of trailers 65,536 are kept. */
const ENTRY_BYTES = 256
const TRAILER_BYTES_MAX = 65_536 * ENTRY_BYTES

const ranges = new LRUCache<string, TimeRange>({
  maxSize: TRAILER_BYTES_MAX,
  sizeCalculation: () => ENTRY_BYTES,
})
const indexes = new LRUCache<string, readonly BlockEntry[]>({
  maxSize: INDEX_BYTES_MAX,
  sizeCalculation: (entries) => entries.reduce((sum, { filterBytes }) => sum + ENTRY_BYTES + filterBytes, 0),
})

/**
 * Calls `onFrame` for every frame that holds the id `needle`; `at` is where its block lies. Returns how many blocks it
 * unpacked: each takes about 2 ms. Throws what the disk throws. What is damaged is passed over.
 */
export function findInSealed(path: string, needle: Buffer, onFrame: (frame: Frame) => void): number {
  const time = timeOfId(needle, 0)
  const range = ranges.get(path)
  if (range !== undefined && !isWithin(range, time)) return 0
  const candidates = indexes.get(path)?.filter((entry) => mayBeIn(entry, time, needle))
  if (candidates?.length === 0) return 0
  // An index that is to be kept cannot lie in the room, which the next search uses.
  const file = new SealedFile(systemDisk, path, candidates === undefined ? undefined : takenRoom())
  try {
    if (candidates !== undefined) return searchEntries(file, candidates, { path, needle, onFrame })
    const { trailer } = file
    if (typeof trailer !== 'string') {
      ranges.set(path, { earliest: trailer.earliest, latest: trailer.latest })
      if (!isWithin(trailer, time)) return 0
    }
    return searchBlocks(file, { path, needle, onFrame })
  } finally {
    file.close()
  }
}

/**
 * Of blocks that are searched one after the other, half a megabyte: made anew for each they would make the collector
 * run at every hundredth request, for 10 ms and more.
 */
let room: SealedRoom | undefined

function takenRoom(): SealedRoom {
  room ??= new SealedRoom()
  return room
}

interface Search {
  readonly path: string
  readonly needle: Buffer
  readonly onFrame: (frame: Frame) => void
}

function searchBlocks(file: SealedFile, asked: Search): number {
  const { path, needle } = asked
  const { index } = file
  let unpacked = 0
  if (typeof index === 'string') {
    for (const { at, block } of file.blocks()) {
      unpacked += 1
      if (typeof block !== 'string') search(block, at, asked)
    }
    return unpacked
  }
  indexes.set(path, index)
  const time = timeOfId(needle, 0)
  const candidates = index.filter((entry) => mayBeIn(entry, time, needle))
  return searchEntries(file, candidates, asked)
}

function searchEntries(file: SealedFile, entries: readonly BlockEntry[], asked: Search): number {
  for (const entry of entries) {
    const block = file.block(entry)
    if (typeof block !== 'string') search(block, entry.at, asked)
  }
  return entries.length
}

function isWithin({ earliest, latest }: TimeRange, time: number): boolean {
  return earliest <= time && time <= latest
}

function mayBeIn(entry: BlockEntry, time: number, needle: Buffer): boolean {
  return isWithin(entry, time) && mayHold(entry.filter, viewOf(needle), 0)
}

function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length)
}

function search(block: OpenBlock, at: number, { needle, onFrame }: Search): void {
  const frames = new BlockFrames(block, { at })
  for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
    const { type, source, payloadFrom, to } = frame
    if (!hasRequestId(type) || !isIdAt(source, sequencedIdAt(source, payloadFrom, to), needle)) continue
    // Whoever asked may keep parts of it.
    onFrame(new Frame(Buffer.from(source.subarray(frame.from, to)), 0, at))
  }
}
