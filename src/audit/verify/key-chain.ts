/**
 * Whose signatures count. The log's first record names its first key, every later one is introduced by a record that
 * both keys signed: who trusts one key of this chain trusts those behind it. A key that is only in keys/log.vkey, and
 * that no record introduces, may be anybody's.
 */
import { keyText } from '../identity.ts'
import { formatVerifierKey, parseNote, parseVerifierKey, type VerifierKey, verifyNote } from '../tree/note.ts'

export class KeyChain {
  readonly #origin: string
  readonly #pinned: readonly VerifierKey[] | undefined
  readonly #trusted: VerifierKey[]
  #isBegun = false

  /**
   * `pinned`: trusted by who asks; else the first record is believed. `listed`: those beside the log, believed where
   * the records that introduced them are not looked at.
   */
  constructor(
    origin: string,
    { pinned, listed }: { pinned: readonly VerifierKey[] | undefined; listed: readonly VerifierKey[] },
  ) {
    this.#origin = origin
    this.#pinned = pinned
    this.#trusted = [...(pinned ?? listed)]
  }

  get trusted(): readonly VerifierKey[] {
    return this.#trusted
  }

  /** A `key` record; one line saying why it is not to be believed. */
  take(fields: Readonly<Record<string, unknown>>, sequence: number): string | undefined {
    const { origin, from, to, note } = fields
    if (typeof from !== 'string' || typeof to !== 'string' || typeof note !== 'string')
      return 'this key record does not name its keys'
    if (origin !== this.#origin) return `this key record is of another log: ${origin}`
    const next = parseVerifierKey(to)
    const before = from === '' ? null : parseVerifierKey(from)
    if (typeof next === 'string' || typeof before === 'string') return 'this key record names no keys'
    const parsed = parseNote(note)
    if (typeof parsed === 'string') return `the note of this key record: ${parsed}`
    if (parsed.text !== keyText(this.#origin, { from, to }, sequence))
      return 'the note of this key record says something else than the record'
    const signers = before === null ? [next] : [before, next]
    const signedBy = verifyNote(parsed, signers)
    if (typeof signedBy === 'string' || signedBy.length < signers.length)
      return 'this key record is not signed by the keys it names'
    return this.#follow(before, next, sequence)
  }

  #follow(before: VerifierKey | null, next: VerifierKey, sequence: number): string | undefined {
    const isKnown = (key: VerifierKey) => this.#trusted.some((known) => isSame(known, key))
    if (before === null) {
      if (sequence !== 0) return 'a key record without a key before it stands only at the beginning of a log'
      if (this.#pinned === undefined) this.#trusted.splice(0, this.#trusted.length, next)
      this.#isBegun = true
      return undefined
    }
    if (isKnown(before)) {
      if (!isKnown(next)) this.#trusted.push(next)
      return undefined
    }
    // A pinned key may be a later one: those before it need not be known.
    return this.#isBegun && this.#pinned === undefined
      ? 'no record introduced the key that hands over here'
      : undefined
  }
}

function isSame(one: VerifierKey, other: VerifierKey): boolean {
  return formatVerifierKey(one) === formatVerifierKey(other)
}
