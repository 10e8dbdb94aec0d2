/**
 * When the writer thread makes a checkpoint, and how: all that is written is synced, the tree's root signed, and both
 * handed to the publisher. Also where another key takes over, because the first checkpoint it signs is the next one.
 */
import type { Clock } from '../../kernel/clock.ts'
import { adoptNextKey, announceKey, type Identity, keyNote, nextSigner } from '../identity.ts'
import type { KeyNote } from '../records/notes.ts'
import type { SegmentWriter } from '../segment-writer.ts'
import { signCheckpoint } from '../tree/checkpoint.ts'
import type { NoteSigner } from '../tree/note.ts'
import type { Publication } from './publisher.ts'

export const CHECKPOINT_EVERY_MS = 1000
export const CHECKPOINT_RECORDS = 2 ** 16
/** Records the publisher may be behind, 32 bytes each, before no more are sequenced. */
export const UNPUBLISHED_RECORDS_MAX = 2 ** 20

export interface CheckpointParts {
  readonly dataDir: string
  readonly identity: Identity
  readonly segment: SegmentWriter
  readonly clock: Clock
  /** To the publisher; the memory of `leaves` is given away. */
  readonly send: (publication: Publication) => void
  /** Leaves covered by the checkpoint on the disk. */
  readonly published: () => number
  /** Told once of a key that cannot take over. */
  readonly warn: (words: string) => void
}

export class Checkpoints {
  readonly #parts: CheckpointParts
  #signer: NoteSigner
  /** Leaves in the last one, and when it was made, or this run began. */
  #size: number
  #madeAt: number
  #hasWarned = false

  /** `size`: leaves that the last one before this run covers. */
  constructor(parts: CheckpointParts, size: number) {
    this.#parts = parts
    this.#signer = parts.identity.signer
    this.#size = size
    this.#madeAt = parts.clock.now()
  }

  /** Ms until one has to be made; 0: now; Infinity: all there is has one. */
  dueIn(now: number): number {
    const records = this.#parts.segment.next - this.#size
    if (records === 0) return Infinity
    if (records >= CHECKPOINT_RECORDS) return 0
    return Math.max(0, this.#madeAt + CHECKPOINT_EVERY_MS - now)
  }

  /** The publisher is so far behind that nothing more must be sequenced. */
  get isFull(): boolean {
    return this.#parts.segment.next - this.#parts.published() >= UNPUBLISHED_RECORDS_MAX
  }

  /** Throws what the disk throws; nothing is lost then, and it may be called again. */
  make(note: (key: KeyNote) => void): void {
    const { segment, identity, clock, send } = this.#parts
    this.#rotate(note)
    const { size, root, leaves } = segment.takeTree()
    const { origin } = identity
    send({ size, leaves, note: signCheckpoint({ origin, size, root }, [this.#signer]) })
    this.#size = size
    this.#madeAt = clock.now()
  }

  /** The first record of a log says which key signs it. */
  begin(note: (key: KeyNote) => void): void {
    if (this.#parts.segment.next > 0) return
    note(keyNote(this.#parts.clock.wall(), { from: null, to: this.#signer, sequence: 0 }))
  }

  #rotate(note: (key: KeyNote) => void): void {
    const { dataDir, segment, clock } = this.#parts
    const next = this.#next()
    if (next === undefined) return
    announceKey(dataDir, next.key)
    note(keyNote(clock.wall(), { from: this.#signer, to: next, sequence: segment.next }))
    segment.flush()
    segment.sync()
    adoptNextKey(dataDir)
    this.#signer = next
  }

  /** What somebody put there by hand may be no key: the one in use goes on. */
  #next(): NoteSigner | undefined {
    const { dataDir, identity, warn } = this.#parts
    try {
      return nextSigner(dataDir, identity.origin)
    } catch (error) {
      if (!this.#hasWarned) warn(`the key that signs the log was not changed: ${(error as Error).message}`)
      this.#hasWarned = true
      return undefined
    }
  }
}
