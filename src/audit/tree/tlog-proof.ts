/**
 * The text of a proof that travels (c2sp.org/tlog-proof@v1): where an entry stands, the hashes up to the root, and the
 * signed checkpoint that has this root. With the log's verifier key it is all that is needed: no directory, no network.
 */
import { type Checkpoint, parseCheckpointText, parseCount } from './checkpoint.ts'
import { TREE_HASH_BYTES } from './hash.ts'
import { exactBase64, NOTE_LENGTH_MAX, parseNote } from './note.ts'
import { PROOF_HASHES_MAX } from './proof.ts'

const FIRST_LINE = 'c2sp.org/tlog-proof@v1'

export interface TlogProof {
  readonly index: number
  readonly hashes: readonly Buffer[]
  /** The whole signed note. */
  readonly checkpoint: string
  /** Bytes that say nothing by themselves; null when there are none. */
  readonly extra: Buffer | null
}

export function formatTlogProof({ index, hashes, checkpoint, extra }: TlogProof): string {
  const lines = [
    FIRST_LINE,
    ...(extra === null ? [] : [`extra ${extra.toString('base64')}`]),
    `index ${index}`,
    ...hashes.map((hash) => hash.toString('base64')),
  ]
  return `${lines.join('\n')}\n\n${checkpoint}`
}

/** What a proof says, its checkpoint read but not verified; one line saying why this is none. */
export function parseTlogProof(text: string): (TlogProof & { readonly head: Checkpoint }) | string {
  if (text.length > 2 * NOTE_LENGTH_MAX) return 'the proof is longer than any proof can be'
  const split = text.indexOf('\n\n')
  if (split === -1) return 'a proof has an empty line before its checkpoint'
  const lines = text.slice(0, split).split('\n')
  if (lines.shift() !== FIRST_LINE) return `a proof begins with the line ${FIRST_LINE}`
  const extraText = lines[0]?.startsWith('extra ') ? lines.shift()!.slice('extra '.length) : null
  const extra = extraText === null ? null : exactBase64(extraText)
  if (extra === undefined) return 'the extra data of the proof is no base64'
  const indexText = /^index (.*)$/.exec(lines.shift() ?? '')?.[1] ?? ''
  const index = parseCount(indexText)
  if (index === undefined) return 'the proof does not say the index of its entry'
  const hashes = hashesOf(lines)
  if (typeof hashes === 'string') return hashes
  const checkpoint = text.slice(split + 2)
  const note = parseNote(checkpoint)
  if (typeof note === 'string') return `the checkpoint of the proof: ${note}`
  const head = parseCheckpointText(note.text)
  if (typeof head === 'string') return `the checkpoint of the proof: ${head}`
  return { index, hashes, checkpoint, extra, head }
}

function hashesOf(lines: readonly string[]): Buffer[] | string {
  if (lines.length > PROOF_HASHES_MAX) return `a proof has at most ${PROOF_HASHES_MAX} hashes`
  const hashes: Buffer[] = []
  for (const line of lines) {
    const hash = exactBase64(line)
    if (hash === undefined || hash.length !== TREE_HASH_BYTES)
      return 'a line of the proof is no hash of 32 bytes'
    hashes.push(hash)
  }
  return hashes
}
