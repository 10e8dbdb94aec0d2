/**
 * Makes the sealed form of one closed segment and puts it in its place: written as a draft beside it, synced, read
 * back and compared with the original byte for byte, renamed, and only then the original goes. Dying anywhere leaves
 * the original, or both, or the sealed one whole: `SealSegments` finishes what it finds.
 */
import { dirname } from 'node:path'
import { codeOf, type Disk, writeAll } from '../disk.ts'
import { FILE_HEADER_BYTES } from '../file-header.ts'
import type { Frame } from '../frame.ts'
import { DRAFT_SUFFIX, type SegmentName, sealedNameOf } from '../paths.ts'
import { openSegment, type SegmentReader } from '../segment-reader.ts'
import { BlockFrames, BlockPacker } from './block.ts'
import { IndexBuilder } from './block-index.ts'
import { SealedFile } from './sealed-file.ts'

/** The directory could not be synced: nobody knows which names survive, so nothing may be removed any more. */
export class DirectoryUnsynced extends Error {
  override readonly name = 'DirectoryUnsynced'
}

/**
 * `segment`: a closed one, not sealed. Undefined when it is sealed and gone; else one line saying why it stays as it
 * is: what is damaged is evidence. Throws what the disk throws, and `DirectoryUnsynced`.
 */
export function sealSegment(disk: Disk, segment: SegmentName): string | undefined {
  const sealed = sealedNameOf(segment)
  const draft = `${sealed.path}${DRAFT_SUFFIX}`
  const problem = writeDraft(disk, segment, draft) ?? differenceOf(disk, segment, draft)
  if (problem !== undefined) {
    removeIfThere(disk, draft)
    return problem
  }
  disk.rename(draft, sealed.path)
  removeOriginal(disk, segment)
  return undefined
}

/** Of a segment that is there sealed, too: removes the original when the sealed one is as good, and says whether. */
export function finishSealing(disk: Disk, segment: SegmentName): boolean {
  try {
    if (differenceOf(disk, segment, sealedNameOf(segment).path) !== undefined) return false
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
  removeOriginal(disk, segment)
  return true
}

function removeIfThere(disk: Disk, path: string): void {
  try {
    disk.remove(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

function removeOriginal(disk: Disk, { path }: SegmentName): void {
  try {
    disk.syncDirectory(dirname(path))
  } catch (error) {
    throw new DirectoryUnsynced((error as Error).message)
  }
  disk.remove(path)
}

function writeDraft(disk: Disk, segment: SegmentName, path: string): string | undefined {
  const reader = openSegment(disk, segment)
  if (reader === undefined || reader.name.isSealed) return 'it is gone'
  try {
    const problem = headerProblem(reader, segment)
    if (problem !== undefined) return problem
    const fd = disk.open(path)
    try {
      disk.truncate(fd, 0)
      const draft = new Draft(disk, fd)
      return draft.copyHeader(segment) ?? draft.pack(reader)
    } finally {
      disk.close(fd)
    }
  } finally {
    reader.close()
  }
}

function headerProblem({ header }: SegmentReader, { first }: SegmentName): string | undefined {
  if (typeof header === 'string') return header
  return header.first === first ? undefined : `the header says that it begins at ${header.first}`
}

class Draft {
  readonly #disk: Disk
  readonly #fd: number
  readonly #packer = new BlockPacker()
  readonly #index = new IndexBuilder()
  #at = 0
  /** Of the block at hand. */
  #first = 0

  constructor(disk: Disk, fd: number) {
    this.#disk = disk
    this.#fd = fd
  }

  copyHeader({ path }: SegmentName): string | undefined {
    const from = this.#disk.openForReading(path)
    try {
      const header = Buffer.alloc(FILE_HEADER_BYTES)
      const read = this.#disk.read(from, header, header.length, 0)
      if (read < header.length) return 'the header could not be read'
      this.#append(header)
      return undefined
    } finally {
      this.#disk.close(from)
    }
  }

  /** One line saying why, when not everything behind the header is a frame that can be made again. */
  pack(reader: SegmentReader): string | undefined {
    let sequence = reader.name.first
    let end = FILE_HEADER_BYTES
    this.#first = sequence
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (frame.at !== end || frame.sequence !== sequence || frame.flags !== 0) break
      this.#add(frame)
      sequence += 1
      end += frame.bytes
    }
    if (end !== reader.size) return `what stands at byte ${end} is not the record ${sequence}`
    if (sequence === reader.name.first) return 'it holds no record'
    this.#endBlock()
    this.#append(this.#index.end())
    this.#disk.sync(this.#fd)
    return undefined
  }

  #add(frame: Frame): void {
    if (!this.#packer.hasRoom(frame)) this.#endBlock()
    this.#packer.add(frame)
    this.#index.see(frame)
  }

  #endBlock(): void {
    const { records } = this.#packer
    const first = this.#first
    const block = this.#packer.take(first)
    this.#index.endBlock({ first, records, at: this.#at, bytes: block.length })
    this.#append(block)
    this.#first += records
  }

  #append(bytes: Buffer): void {
    writeAll(this.#disk, this.#fd, bytes, { length: bytes.length, position: this.#at })
    this.#at += bytes.length
  }
}

/** Undefined when the sealed file at `path` gives back exactly the bytes of the segment. */
function differenceOf(disk: Disk, segment: SegmentName, path: string): string | undefined {
  const sealed = new SealedFile(disk, path)
  try {
    const original = new SealedFile(disk, segment.path)
    try {
      return differenceBetween(original, sealed)
    } finally {
      original.close()
    }
  } finally {
    sealed.close()
  }
}

/** The original is no sealed file, and only read. */
function differenceBetween(
  original: Pick<SealedFile, 'read' | 'size'>,
  sealed: SealedFile,
): string | undefined {
  if (typeof sealed.index === 'string') return sealed.index
  const isSame = (at: number, bytes: Buffer) => original.read(at, bytes.length).equals(bytes)
  if (!isSame(0, sealed.read(0, FILE_HEADER_BYTES))) return 'the headers differ'
  const index = new IndexBuilder()
  let at = FILE_HEADER_BYTES
  for (const { at: blockAt, bytes, block } of sealed.blocks()) {
    if (typeof block === 'string') return block
    const frames = new BlockFrames(block, { at: blockAt, isWhole: true })
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) index.see(frame)
    if (!isSame(at, block.bytes)) return `the records differ from byte ${at} on`
    index.endBlock({ first: block.first, records: block.records, at: blockAt, bytes })
    at += block.frameBytes
  }
  if (at !== original.size) return 'records are missing'
  const end = index.end()
  return sealed.read(sealed.size - end.length, end.length).equals(end)
    ? undefined
    : 'the index is not that of the records'
}
