/**
 * A lane's end of the ring by which bodies and sticky keys reach the writer thread, which computes their keyed digests:
 * what became of each, as the flags of its record's frame say it.
 */
import { ABSENT, HANDED_OVER, RING_FULL, STREAMED, TOO_LARGE } from './records/payload.ts'
import { ANSWER_DIGEST, KEY_DIGEST, REQUEST_DIGEST, RingProducer } from './ring.ts'

/**
 * What digests are made of. `key` is empty when there is none worth one; `answer` null when nothing was sent, and
 * 'streamed' when it is passed on as it comes.
 */
export interface DigestInputs {
  readonly key: string
  readonly request: Uint8Array
  readonly answer: Uint8Array | 'streamed' | null
}

export class DigestHandover {
  readonly #ring: RingProducer
  readonly #bytesMax: number
  #lost: number

  /** `bytesMax`: a larger body gets no digest. `lost`: by those before. */
  constructor(memory: SharedArrayBuffer, bytesMax: number, lost: number) {
    this.#ring = new RingProducer(memory)
    this.#bytesMax = Math.min(bytesMax, this.#ring.entryBytesMax)
    this.#lost = lost
  }

  /** Digests that could not be handed over. */
  get lost(): number {
    return this.#lost
  }

  /** Hands over what there is of the record with this lane sequence; returns its flags. */
  offer(sequence: number, { key, request, answer }: DigestInputs): number {
    const keyFate = key === '' ? ABSENT : this.#offer(sequence, KEY_DIGEST, Buffer.from(key))
    const requestFate = request.length === 0 ? ABSENT : this.#offer(sequence, REQUEST_DIGEST, request)
    return keyFate | (requestFate << 2) | (this.#answerFate(sequence, answer) << 4)
  }

  #answerFate(sequence: number, answer: DigestInputs['answer']): number {
    if (answer === 'streamed') return STREAMED
    return answer === null || answer.length === 0 ? ABSENT : this.#offer(sequence, ANSWER_DIGEST, answer)
  }

  #offer(sequence: number, kind: number, bytes: Uint8Array): number {
    if (bytes.length > this.#bytesMax) return TOO_LARGE
    if (this.#ring.offer(sequence, kind, bytes)) return HANDED_OVER
    this.#lost += 1
    return RING_FULL
  }
}
