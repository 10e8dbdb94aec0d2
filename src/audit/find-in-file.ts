/**
 * Finds the records of one request in a file that has no index: a segment that is not sealed, or a journal. Walks from
 * frame to frame and looks at nothing but lengths, sequences and ids (about 3 GB/s); checksums are
 * computed of what it found. Where frames do not follow one another it is lost: from the last one on that it was sure of,
 * the id's sixteen bytes are searched for as bytes, so that damage hides nothing that is whole.
 */
import { setImmediate } from 'node:timers/promises'
import { type Disk, systemDisk } from './disk.ts'
import { FILE_HEADER_BYTES } from './file-header.ts'
import { FRAME_BYTES_MAX, FRAME_HEAD_BYTES, type Frame, frameAt, PAYLOAD_BYTES_MAX, wordAt } from './frame.ts'
import type { KnownIds } from './known-ids.ts'
import { ENVELOPE_BYTES_MAX } from './records/payload.ts'
import { hasRequestId, ID_BYTES, isIdAt } from './records/request-id-place.ts'

/** Small enough to stay in the processor's cache while it is walked: 1 MiB takes half as long again. */
const CHUNK_BYTES = 256 * 1024
/** After so many bytes others in this process get their turn: about 1 ms. */
const PAUSE_BYTES = 4 * 1024 * 1024
/** From the start of a frame to the id in it: both heads, the row's array head, its version and the bin head. */
const ID_WITHIN = FRAME_HEAD_BYTES + ENVELOPE_BYTES_MAX + 16

export interface SearchedFile {
  readonly fd: number
  /** Sequence of the first frame. */
  readonly first: number
  /** Where a payload of this kind of file has its id; see records/request-id-place.ts. */
  idAt(bytes: Buffer, at: number, end: number): number
  /** What earlier searches learnt of it; this one adds to it. */
  readonly known?: KnownIds
}

/** Calls `onFrame` for every whole frame that holds the id `needle`; the frame is valid until it returns. */
export async function findInFile(
  file: SearchedFile,
  needle: Buffer,
  onFrame: (frame: Frame) => void,
  disk: Disk = systemDisk,
): Promise<void> {
  if (file.known !== undefined) searchKnown(file, file.known, { needle, onFrame, disk })
  const lostAt = await walk(file, needle, { onFrame, disk })
  if (lostAt !== undefined) await searchBytes(file.fd, needle, { onFrame, disk, from: lostAt })
}

interface Search {
  readonly onFrame: (frame: Frame) => void
  readonly disk: Disk
}

function searchKnown(
  { fd, idAt }: SearchedFile,
  known: KnownIds,
  { needle, onFrame, disk }: Search & { readonly needle: Buffer },
): void {
  for (const at of known.placesOf(needle)) {
    const bytes = Buffer.allocUnsafe(FRAME_BYTES_MAX)
    const frame = frameAt(bytes, 0, disk.read(fd, bytes, bytes.length, at), at)
    if (typeof frame === 'string') continue
    const { type, source, payloadFrom, to } = frame
    if (hasRequestId(type) && isIdAt(source, idAt(source, payloadFrom, to), needle)) onFrame(frame)
  }
}

/** Where the last frame begins that may not be what it seems; undefined when all were walked to the end. */
async function walk(
  { fd, first, idAt, known }: SearchedFile,
  needle: Buffer,
  { onFrame, disk }: Search,
): Promise<number | undefined> {
  let expected = known?.next ?? first
  let base = known?.at ?? FILE_HEADER_BYTES
  const left = disk.size(fd) - base
  if (left <= 0) return undefined
  // No more than is needed: what lies beside the heap makes the collector run.
  const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, Math.max(left, FRAME_BYTES_MAX)))
  let last = base
  for (let filled = 0, unpaused = 0; ; ) {
    const read = disk.read(fd, chunk.subarray(filled), chunk.length - filled, base + filled)
    if (read === 0) return filled === 0 ? undefined : last
    filled += read
    let at = 0
    while (at + FRAME_HEAD_BYTES <= filled) {
      const length = wordAt(chunk, at)
      const sequence = wordAt(chunk, at + 8) + wordAt(chunk, at + 12) * 0x1_0000_0000
      if (length > PAYLOAD_BYTES_MAX || sequence !== expected) return last
      const payloadAt = at + FRAME_HEAD_BYTES
      const end = payloadAt + length
      if (end > filled) break
      const foundAt = hasRequestId(chunk[at + 16]!) ? idAt(chunk, payloadAt, end) : -1
      known?.see(chunk, foundAt, { place: base + at, end: base + end })
      if (isIdAt(chunk, foundAt, needle)) {
        const frame = frameAt(chunk, at, end, base)
        if (typeof frame !== 'string') onFrame(frame)
      }
      last = base + at
      at = end
      expected += 1
    }
    chunk.copyWithin(0, at, filled)
    base += at
    filled -= at
    unpaused += read
    if (unpaused < PAUSE_BYTES) continue
    unpaused = 0
    await setImmediate()
  }
}

async function searchBytes(
  fd: number,
  needle: Buffer,
  { onFrame, disk, from }: Search & { readonly from: number },
): Promise<void> {
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  for (let base = from; ; ) {
    const bytesRead = disk.read(fd, chunk, chunk.length, base)
    if (bytesRead < needle.length) return
    const read = chunk.subarray(0, bytesRead)
    for (let hit = read.indexOf(needle); hit !== -1; hit = read.indexOf(needle, hit + 1)) {
      const frame = frameAround(fd, base + hit, disk)
      if (frame !== undefined) onFrame(frame)
    }
    base += bytesRead - needle.length + 1
    await setImmediate()
  }
}

/** The frame in which the id at file offset `at` lies: the nearest place before it that holds a whole frame. */
function frameAround(fd: number, at: number, disk: Disk): Frame | undefined {
  const from = Math.max(0, at - ID_WITHIN)
  const bytes = Buffer.alloc(at - from + FRAME_BYTES_MAX)
  const bytesRead = disk.read(fd, bytes, bytes.length, from)
  for (let start = at - from - FRAME_HEAD_BYTES; start >= 0; start -= 1) {
    const frame = frameAt(bytes, start, bytesRead, from)
    if (typeof frame === 'string') continue
    if (frame.bytes >= at - from - start + ID_BYTES) return frame
  }
  return undefined
}
