/**
 * A lane's way to the capture thread. It copies the bodies of a chosen request into shared memory and goes on: nothing is
 * parsed, nothing waits, and what finds no room is counted. For a request that is not chosen it costs one hash
 * (0.2 µs), and nothing where nothing is captured.
 */
import type { CaptureSettings } from '../../domain/routes.ts'
import { pointOf } from '../../kernel/hash64.ts'
import type { CaptureFate } from '../records/capture-record.ts'
import { RingProducer } from '../ring.ts'
import { CaptureCounts } from './capture-counts.ts'
import { type CapturedSide, type CaptureParts, offerEntry } from './capture-entry.ts'

const NOTHING = new Uint8Array()

export interface CapturedBody {
  readonly bytes: Uint8Array
  /** As in CapturedSide. */
  readonly json: number
}

export interface Captured {
  /** Of the request; decides whether it is chosen. */
  readonly id: string
  /** Unix ms. */
  readonly at: number
  readonly model: string
  readonly subject: string
  readonly request: CapturedBody
  /** 'streamed': it was passed on as it came and held nowhere. */
  readonly answer: CapturedBody | 'streamed' | null
}

export class Capturer {
  readonly #ring: RingProducer
  readonly #counts: CaptureCounts

  constructor({ ring, counts }: CaptureParts) {
    this.#ring = new RingProducer(ring)
    this.#counts = new CaptureCounts(counts)
  }

  /** The same share of requests on every node and at every replay, by the id alone. */
  isChosen(id: string, share: number): boolean {
    return share >= 1 || pointOf(`capture\u0000${id}`) < share
  }

  /** Its bodies are wanted but there is no time or memory for them now. */
  drop(): void {
    this.#counts.add('no-room')
  }

  offer(captured: Captured, { redact, bytesMax }: CaptureSettings): void {
    const { id, at, model, subject } = captured
    const request = sideOf(captured.request, bytesMax)
    const answer = sideOf(captured.answer, bytesMax)
    if (request === null && answer === null) return
    const head = { id, at, model, subject, redact, request, answer }
    const isTaken = offerEntry(this.#ring, {
      head,
      request: handed(captured.request, request),
      answer: handed(captured.answer, answer),
    })
    if (!isTaken) this.drop()
  }
}

function sideOf(body: Captured['answer'], bytesMax: number): CapturedSide | null {
  if (body === null) return null
  if (body === 'streamed') return { bytes: 0, handed: 0, json: -1, fate: 'streamed' }
  const bytes = body.bytes.length
  if (bytes === 0) return null
  const fate: CaptureFate = bytes > bytesMax ? 'too-large' : 'kept'
  return { bytes, handed: fate === 'kept' ? bytes : 0, json: body.json, fate }
}

function handed(body: Captured['answer'], side: CapturedSide | null): Uint8Array {
  return side === null || side.handed === 0 || body === null || body === 'streamed' ? NOTHING : body.bytes
}
