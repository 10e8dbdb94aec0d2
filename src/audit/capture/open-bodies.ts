/**
 * Reads captured bodies back, for whoever may read the keys: joins their parts, decrypts them, and tells erased from
 * damaged. It changes nothing.
 */
import { systemDisk } from '../disk.ts'
import type { CaptureFate, CaptureRecord } from '../records/capture-record.ts'
import { type Side, unseal } from './seal.ts'
import { SubjectKeys } from './subject-keys.ts'

export interface OpenedBody {
  readonly side: Side
  /**
   * `shown`: `body` is what was kept. `erased`: its key was destroyed, or is not in this directory. `damaged`: parts are missing, or
   * they are not what was sealed. `not-kept`: `fate` tells why.
   */
  readonly state: 'shown' | 'erased' | 'damaged' | 'not-kept'
  readonly fate: CaptureFate
  /** Of the body as it was sent. */
  readonly bytes: number
  readonly binaryBytes: number
  readonly redacted: readonly string[]
  readonly subject: string
  readonly body: Buffer | null
}

/** `captures`: all records of one request. Throws the system's error when the keys cannot be read. */
export function openBodies(dataDir: string, captures: readonly CaptureRecord[]): OpenedBody[] {
  const keys = new SubjectKeys(dataDir, systemDisk)
  return (['request', 'answer'] as const).flatMap((side) => {
    const parts = captures.filter((capture) => capture.side === side)
    return parts.length === 0 ? [] : [opened(parts, keys)]
  })
}

function opened(parts: readonly CaptureRecord[], keys: SubjectKeys): OpenedBody {
  const [first] = [...parts].sort((one, other) => one.part - other.part)
  const { side, fate, bytes, binaryBytes, redacted, subject } = first!
  const about = { side, fate, bytes, binaryBytes, redacted, subject }
  if (fate !== 'kept') return { ...about, state: 'not-kept', body: null }
  const key = keys.find(subject, first!.key)
  if (key === null) return { ...about, state: 'erased', body: null }
  try {
    return { ...about, state: 'shown', body: unseal(joined(parts), key, first!.id, side) }
  } catch {
    return { ...about, state: 'damaged', body: null }
  }
}

/** A part may be there twice, from a journal and from a segment. */
function joined(parts: readonly CaptureRecord[]): Buffer {
  const byPart = new Map(parts.map(({ part, sealed }) => [part, sealed]))
  return Buffer.concat(
    Array.from({ length: parts[0]!.parts }, (_, part) => byPart.get(part) ?? missing(part)),
  )
}

function missing(part: number): never {
  throw new Error(`part ${part} is missing`)
}
