/** What is done to the logs of the test vectors, and what has to be found: written down here, computed nowhere. */
import { readFileSync } from 'node:fs'
import { FILE_HEADER_BYTES } from '../../src/audit/file-header.ts'
import { type Frame, frameAt, sealFrame } from '../../src/audit/frame.ts'
import { listSegments } from '../../src/audit/paths.ts'

/** Files are relative to the log; `source` is relative to the vectors. */
export type Edit =
  | { readonly edit: 'xor'; readonly file: string; readonly at: number; readonly with: number }
  | { readonly edit: 'zero' | 'cut'; readonly file: string; readonly at: number; readonly bytes: number }
  | { readonly edit: 'truncate'; readonly file: string; readonly at: number }
  | { readonly edit: 'swap'; readonly file: string; readonly other: string }
  | { readonly edit: 'remove'; readonly file: string }
  | { readonly edit: 'put'; readonly file: string; readonly source: string }

export interface LogCase {
  readonly name: string
  readonly log: string
  readonly edits: readonly Edit[]
  readonly key?: string
  readonly witness?: string
  readonly expected:
    | {
        readonly isWhole: true
        readonly isComplete: boolean
        readonly records: number
        readonly signed: number
        /** Records missing that the log does not account for. */
        readonly undeclared: number
      }
    | { readonly isWhole: false; readonly firstBad: number | null }
}

export interface ProofCase {
  readonly name: string
  readonly proof: string
  readonly key: string
  readonly edits: readonly { readonly edit: 'replace'; readonly old: string; readonly new: string }[]
  readonly expected: { readonly isProven: boolean; readonly sequence?: number }
}

const RECORDS = 298
const SIGNED = 294
const EARLY = 160
const whole = (more: object = {}) =>
  ({ isWhole: true, isComplete: true, records: RECORDS, signed: SIGNED, undeclared: 0, ...more }) as const
const bad = (firstBad: number | null) => ({ isWhole: false, firstBad }) as const

interface Segment {
  readonly file: string
  readonly first: number
  readonly frames: readonly Frame[]
  readonly bytes: Buffer
}

function segmentsIn(dataDir: string): Segment[] {
  return listSegments(dataDir).map(({ file, path, first }) => {
    const bytes = readFileSync(path)
    const frames: Frame[] = []
    for (let at = FILE_HEADER_BYTES; at < bytes.length; at += frames.at(-1)!.bytes) {
      const frame = frameAt(bytes, at, bytes.length)
      if (typeof frame === 'string') throw new Error(`${file}, byte ${at}: ${frame}`)
      frames.push(frame)
    }
    return { file, first, frames, bytes }
  })
}

/** Of the good log in `dataDir`, and of the others. */
export function logCases(dataDir: string): LogCase[] {
  const segments = segmentsIn(dataDir)
  return [
    ...wholeCases(segments),
    ...recordCases(segments),
    ...segmentCases(segments),
    ...treeCases(),
    ...witnessCases(segments),
  ]
}

function wholeCases(segments: readonly Segment[]): LogCase[] {
  const last = segments.at(-1)!
  const torn = { edit: 'truncate', file: last.file, at: last.bytes.length - 5 } as const
  const left = { edit: 'put', file: 'segments/000000000242.seg', source: 'pruned-rest.seg' } as const
  const pruned = whole({ records: 14, signed: 286 })
  const incomplete = whole({ isComplete: false, records: 19, signed: 19, undeclared: 5 })
  return [
    { name: 'as it was written', log: 'good', edits: [], expected: whole() },
    { name: 'the first key is pinned', log: 'good', edits: [], key: 'good.vkey', expected: whole() },
    { name: 'the end is torn', log: 'good', edits: [torn], expected: whole({ records: RECORDS - 1 }) },
    { name: 'records are missing undeclared', log: 'incomplete', edits: [], expected: incomplete },
    { name: 'the beginning was pruned', log: 'pruned', edits: [], expected: pruned },
    { name: 'pruning was interrupted', log: 'pruned', edits: [left], expected: pruned },
    { name: 'the beginning was stolen', log: 'stolen', edits: [], expected: bad(0) },
  ]
}

function recordCases([, second]: readonly Segment[]): LogCase[] {
  const { file, frames } = second!
  const [frame, next] = [frames[20]!, frames[21]!]
  const { at, bytes, sequence } = frame
  const payloadAt = at + bytes - 1
  const on = (name: string, ...edits: Edit[]): LogCase => ({
    name,
    log: 'good',
    edits,
    expected: bad(sequence),
  })
  return [
    on('a flipped bit', { edit: 'xor', file, at: payloadAt, with: 4 }),
    on('a forged record, its checksum right', ...forged(second!, frame)),
    on('a deleted record', { edit: 'cut', file, at, bytes }),
    on('a hole of zeros', { edit: 'zero', file, at, bytes: bytes + next.bytes }),
    on('flags in a segment, the checksum right', ...forged(second!, frame, 17)),
  ]
}

/** Its last byte, or the one `within` the frame, and the checksum that fits. */
function forged({ file, bytes }: Segment, frame: Frame, within = frame.bytes - 1): Edit[] {
  const after = Buffer.from(bytes.subarray(frame.at, frame.at + frame.bytes))
  after[within] = after[within]! ^ 1
  const head = { sequence: frame.sequence, type: after[16]!, flags: after[17]! }
  sealFrame(after, 0, head, frame.payload.length)
  return [4, 5, 6, 7, within].flatMap((place) => {
    const at = frame.at + place
    const difference = after[place]! ^ bytes[at]!
    return difference === 0 ? [] : [{ edit: 'xor', file, at, with: difference }]
  })
}

function segmentCases([first, second, third, last]: readonly Segment[]): LogCase[] {
  const cut = last!.frames.find(({ sequence }) => sequence === SIGNED - 3)!
  const on = (name: string, sequence: number, ...edits: Edit[]): LogCase => ({
    name,
    log: 'good',
    edits,
    expected: bad(sequence),
  })
  return [
    on('signed records cut off', SIGNED - 3, { edit: 'truncate', file: last!.file, at: cut.at }),
    on('two segments exchanged', second!.first, { edit: 'swap', file: second!.file, other: third!.file }),
    on('a segment deleted', third!.first, { edit: 'remove', file: third!.file }),
    on('the first segment deleted, and no prune record', 0, { edit: 'remove', file: first!.file }),
    on('another byte in a header', second!.first, { edit: 'xor', file: second!.file, at: 70, with: 1 }),
  ]
}

function treeCases(): LogCase[] {
  const log = 'good'
  const foreign = { edit: 'put', file: 'checkpoint', source: 'foreign-checkpoint.txt' } as const
  const twice = { edit: 'put', file: 'checkpoint', source: 'checkpoint-signed-twice.txt' } as const
  return [
    {
      name: 'another hash in a tile',
      log,
      edits: [{ edit: 'xor', file: 'tile/0/000', at: 32 * 77 + 5, with: 1 }],
      expected: bad(77),
    },
    {
      name: 'a tile of level 1 deleted',
      log,
      edits: [{ edit: 'remove', file: 'tile/1/000.p/1' }],
      expected: bad(0),
    },
    {
      name: 'another digit in the checkpoint',
      log,
      edits: [{ edit: 'xor', file: 'checkpoint', at: 40, with: 1 }],
      expected: bad(null),
    },
    { name: 'the line of the signature twice', log, edits: [twice], expected: bad(null) },
    { name: 'signed by a foreign key', log, edits: [foreign], expected: bad(null) },
    { name: 'a foreign key is pinned', log, edits: [], key: 'foreign.vkey', expected: bad(null) },
  ]
}

function witnessCases(segments: readonly Segment[]): LogCase[] {
  const log = 'good'
  const rewritten: Edit[] = [
    ...segments.slice(2).map(({ file }) => ({ edit: 'put', file, source: `fork/${file}` }) as const),
    { edit: 'put', file: 'tile', source: 'fork/tile' },
  ]
  const forked: Edit[] = [...rewritten, { edit: 'put', file: 'checkpoint', source: 'fork/checkpoint' }]
  const rolledBack: Edit[] = [{ edit: 'put', file: 'checkpoint', source: 'early-checkpoint.txt' }]
  const [early, late] = ['early-checkpoint.txt', 'good/checkpoint']
  return [
    { name: 'records and tiles rewritten', log, edits: rewritten, expected: bad(null) },
    { name: 'a fork, by itself', log, edits: forked, expected: whole() },
    { name: 'a fork, and who saw it before', log, edits: forked, witness: early, expected: whole() },
    { name: 'a fork, and who saw the other', log, edits: forked, witness: late, expected: bad(null) },
    { name: 'grown since a witness saw it', log, edits: [], witness: early, expected: whole() },
    {
      name: 'an earlier checkpoint put back',
      log,
      edits: rolledBack,
      expected: whole({ signed: EARLY }),
    },
    { name: 'rolled back, and a witness', log, edits: rolledBack, witness: late, expected: bad(null) },
  ]
}

export function proofCases(sequence: number): ProofCase[] {
  const of = (name: string, key: string, isProven: boolean, ...edits: ProofCase['edits']): ProofCase => ({
    name,
    proof: 'proof.txt',
    key,
    edits,
    expected: isProven ? { isProven, sequence } : { isProven },
  })
  const replace = (old: string, by: string) => ({ edit: 'replace', old, new: by }) as const
  return [
    of('as it was made', 'second.vkey', true),
    of('a foreign key', 'foreign.vkey', false),
    of('a key that signs no longer', 'good.vkey', false),
    of('another index', 'second.vkey', false, replace(`index ${sequence}`, `index ${sequence + 1}`)),
    of('another record', 'second.vkey', false, replace('extra agAAAAAAAAAB', 'extra agAAAAAAAAAC')),
    of('a larger tree', 'second.vkey', false, replace(`\n${SIGNED}\n`, `\n${SIGNED + 1}\n`)),
  ]
}
