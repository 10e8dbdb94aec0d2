/**
 * The file in which a lane notes what is under way (SPEC.md, “Requests under way”): cells of 256 bytes, each empty or
 * holding one frame, so that what is damaged is told from what is not cell by cell. The first sixteen are the head:
 * which file this is, how far it was tidied, and the hashes of the configurations that its requests name. A request
 * has one of those behind.
 *
 * Cells lie within pages of 4 KiB: a write of one that a kill cuts short is cut at a page's end.
 */
import type { Role } from '../../domain/outcome.ts'
import { FRAME_HEAD_BYTES, type Frame, frameAt, sealFrame } from '../frame.ts'
import { decodeRole, encodeRole } from '../records/attempt-row.ts'
import { pack, unpack } from '../records/msgpack.ts'
import { fromMicros, hexText, idText, toMicros } from '../records/row.ts'
import type { RowWriter } from '../records/row-writer.ts'

export const CELL_BYTES = 256
export const PAGE_BYTES = 4096
export const PAGE_CELLS = PAGE_BYTES / CELL_BYTES
export const INFLIGHT_VERSION = 1

/** In the head's page: the file itself, how far it was tidied, then the configurations. */
export const PROGRESS_CELL = 1
const GENERATIONS_FROM = 2

const CELL_TYPES = { file: 1, progress: 2, generation: 3, request: 4 } as const

/** A name of a configuration is ASCII and no longer than this, so it fits. */
const NAME_UNITS_MAX = 64
/** Of any other text so much always does: three bytes for each unit, twice, beside 61 bytes of the rest. */
const UNICODE_UNITS_MAX = 31

/** A request when a version is about to be asked for the first time. */
export interface RequestUnderWay {
  readonly id: string
  /** Unix ms. */
  readonly receivedAt: number
  /** From its receipt to the asking. */
  readonly afterMs: number
  readonly generation: number
  /** SHA-256 of the configuration, hex; empty when the file does not tell any more. */
  readonly configHash: string
  readonly model: string
  readonly version: string
  readonly role: Role
}

export interface FileCell {
  readonly lane: number
  readonly start: number
  /** Unix ms. */
  readonly createdAt: number
  /** Names the machine's run; empty where the system does not say. */
  readonly boot: string
}

export interface Progress {
  /**
   * No request whose decision record has this sequence of the lane, or a lower one, is in a cell any more. After the
   * machine itself died this may be on the disk, and the cells as they were before.
   */
  readonly through: number
}

/** A whole page, for the head of a new file; the other cells are empty. */
export function headPage({ lane, start, createdAt, boot }: FileCell): Buffer {
  const page = Buffer.alloc(PAGE_BYTES)
  const row = [INFLIGHT_VERSION, lane, start, createdAt, boot.slice(0, NAME_UNITS_MAX)]
  write(page, 0, { type: CELL_TYPES.file, sequence: 0 }, row)
  return page
}

/** Writes one cell at `at`. */
export function writeProgress(target: Buffer, at: number, { through }: Progress): void {
  write(target, at, { type: CELL_TYPES.progress, sequence: through }, [through])
}

/** Which cell of the head tells of a generation; a later one takes its place when there have been many. */
export function generationCell(generation: number): number {
  return GENERATIONS_FROM + (generation % (PAGE_CELLS - GENERATIONS_FROM))
}

export function writeGeneration(target: Buffer, at: number, generation: number, configHash: string): void {
  const hash = Buffer.from(configHash, 'hex')
  write(target, at, { type: CELL_TYPES.generation, sequence: generation }, [generation, hash])
}

/** A request, and the lane's last sequence when it was noted: its decision record has a higher one. */
export interface Noted {
  readonly request: RequestUnderWay
  readonly after: number
}

/** Writes the cell of a request that begins at `at`; returns how many bytes of it matter. */
export function writeRequest(row: RowWriter, at: number, request: RequestUnderWay, after: number): number {
  const { model, version } = request
  const from = at + FRAME_HEAD_BYTES
  row.begin(from)
  row.array(7)
  row.id(request.id)
  row.number(request.receivedAt)
  row.number(toMicros(request.afterMs))
  row.number(request.generation)
  row.word(encodeRole(request.role))
  row.text(model, unitsMaxOf(model))
  row.text(version, unitsMaxOf(version))
  const head = { sequence: after, type: CELL_TYPES.request, flags: 0 }
  return sealFrame(row.bytes, at, head, row.at - from) - at
}

function unitsMaxOf(text: string): number {
  for (let index = 0; index < text.length; index += 1) {
    if (text.charCodeAt(index) >= 0x80) return UNICODE_UNITS_MAX
  }
  return NAME_UNITS_MAX
}

/** So that the cell reads as empty. */
export function clearCell(target: Buffer, at: number): void {
  target.fill(0, at, at + FRAME_HEAD_BYTES)
}

export type Cell =
  | ({ readonly kind: 'file'; readonly version: number } & FileCell)
  | ({ readonly kind: 'progress' } & Progress)
  | { readonly kind: 'generation'; readonly generation: number; readonly configHash: string }
  /** Without the hash, which the head tells. */
  | ({ readonly kind: 'request' } & Noted)

/** The cell of `bytes` that begins at `at`; 'bad' when what stands there is neither a frame nor nothing. */
export function readCell(bytes: Buffer, at: number): Cell | 'empty' | 'bad' {
  const end = Math.min(at + CELL_BYTES, bytes.length)
  if (isEmpty(bytes, at, end)) return 'empty'
  const found = frameAt(bytes, at, end)
  if (typeof found === 'string') return 'bad'
  try {
    return decode(found) ?? 'bad'
  } catch {
    return 'bad'
  }
}

function isEmpty(bytes: Buffer, at: number, end: number): boolean {
  for (let index = at; index < Math.min(at + FRAME_HEAD_BYTES, end); index += 1) {
    if (bytes[index] !== 0) return false
  }
  return true
}

function decode({ type, sequence, payload }: Frame): Cell | undefined {
  const row = unpack(payload) as unknown[]
  if (type === CELL_TYPES.file) {
    const [version, lane, start, createdAt] = row.map(Number) as [number, number, number, number]
    return { kind: 'file', version, lane, start, createdAt, boot: String(row[4] ?? '') }
  }
  if (type === CELL_TYPES.progress) return { kind: 'progress', through: Number(row[0]) }
  if (type === CELL_TYPES.generation) {
    return { kind: 'generation', generation: Number(row[0]), configHash: hexText(row[1]) }
  }
  if (type !== CELL_TYPES.request) return undefined
  const request = {
    id: idText(row[0]),
    receivedAt: Number(row[1]),
    afterMs: fromMicros(row[2]),
    generation: Number(row[3]),
    configHash: '',
    role: decodeRole(row[4]),
    model: String(row[5]),
    version: String(row[6]),
  }
  return { kind: 'request', request, after: sequence }
}

function write(
  target: Buffer,
  at: number,
  head: { readonly type: number; readonly sequence: number },
  row: readonly unknown[],
): void {
  const payload = pack(row)
  target.set(payload, at + FRAME_HEAD_BYTES)
  sealFrame(target, at, { ...head, flags: 0 }, payload.length)
}
