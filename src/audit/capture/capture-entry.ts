/**
 * What a lane hands to the capture thread of one request: a head of JSON, then the bodies. It lies in shared memory
 * and nowhere else until the bodies are redacted and encrypted.
 */
import type { CaptureFate } from '../records/capture-record.ts'
import { type RingProducer, ringMemory } from '../ring.ts'

/** Of each seat: bodies of about a hundred requests of 64 KiB, or several thousand small ones. */
export const CAPTURE_RING_BYTES = 8 * 1024 * 1024

export interface CapturedSide {
  /** Bytes of the body as it was sent, and of what was handed over of it. */
  readonly bytes: number
  readonly handed: number
  /** Bytes of it that are JSON when binary tensors follow; -1: all of it. */
  readonly json: number
  /** What is known before anybody looked into it; `kept` when it is handed over. */
  readonly fate: CaptureFate
}

export interface CaptureHead {
  readonly id: string
  /** Unix ms of receipt. */
  readonly at: number
  readonly model: string
  /** Whom the bodies are about; empty: nobody is named. */
  readonly subject: string
  /** JSON pointers to what is blanked. */
  readonly redact: readonly string[]
  /** Null where there was no body. */
  readonly request: CapturedSide | null
  readonly answer: CapturedSide | null
}

export interface CaptureEntry {
  readonly head: CaptureHead
  readonly request: Uint8Array
  readonly answer: Uint8Array
}

/** What the threads share: a lane's ring, and the counts of what became of bodies, over all lanes. */
export interface CaptureParts {
  readonly ring: SharedArrayBuffer
  readonly counts: SharedArrayBuffer
}

export function captureRing(bytes: number = CAPTURE_RING_BYTES): SharedArrayBuffer {
  return ringMemory(bytes)
}

/** False when there is no room. */
export function offerEntry(ring: RingProducer, { head, request, answer }: CaptureEntry): boolean {
  const text = Buffer.from(JSON.stringify(head))
  return ring.offerTogether(text.length, 0, [text, request, answer])
}

/** `headBytes`: the sequence of the ring's entry. The result is a copy: the entry may be released. */
export function entryOf(headBytes: number, parts: readonly Uint8Array[]): CaptureEntry {
  const bytes = Buffer.concat(parts)
  const head = JSON.parse(bytes.toString('utf8', 0, headBytes)) as CaptureHead
  const requestEnd = headBytes + (head.request?.handed ?? 0)
  return { head, request: bytes.subarray(headBytes, requestEnd), answer: bytes.subarray(requestEnd) }
}
