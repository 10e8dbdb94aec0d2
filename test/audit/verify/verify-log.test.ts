/** What checking a log finds, and what it tells where; proofs and receipts, with a log and without one. */
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type MadeLogOptions, writeMadeLog } from '../../../scripts/make-log/write-log.ts'
import { FILE_HEADER_BYTES } from '../../../src/audit/file-header.ts'
import { frameAt, sealFrame } from '../../../src/audit/frame.ts'
import { makeProof } from '../../../src/audit/make-proof.ts'
import { listSegments } from '../../../src/audit/paths.ts'
import { signCheckpoint } from '../../../src/audit/tree/checkpoint.ts'
import { keyOfSeed, noteSigner, parseVerifierKeys, type VerifierKey } from '../../../src/audit/tree/note.ts'
import { verifyLog } from '../../../src/audit/verify/verify-log.ts'
import { verifyProof } from '../../../src/audit/verify/verify-proof.ts'
import { parseWitness, type Witness } from '../../../src/audit/verify/witness.ts'
import { newFolder } from '../new-folder.ts'

const OPTIONS = { records: 700, days: 9, models: 3, segmentBytesMax: 64 * 1024 }

function madeLog(options: Partial<MadeLogOptions> = {}): string {
  const dataDir = newFolder()
  writeMadeLog(dataDir, { ...OPTIONS, ...options })
  return dataDir
}

const keysOf = (dataDir: string): VerifierKey[] => {
  const keys = parseVerifierKeys(readFileSync(join(dataDir, 'keys', 'log.vkey'), 'utf8'))
  if (typeof keys === 'string') throw new Error(keys)
  return keys
}

const witnessOf = (text: string): Witness => {
  const witness = parseWitness(text)
  if (typeof witness === 'string') throw new Error(witness)
  return witness
}

const checkpointOf = (dataDir: string): string => readFileSync(join(dataDir, 'checkpoint'), 'utf8')

t.test('a whole log is whole, and its losses are told', (t) => {
  const dataDir = madeLog()
  const verdict = verifyLog(dataDir)
  t.match(verdict, {
    isWhole: true,
    firstBad: null,
    records: 700,
    first: 0,
    last: 699,
    unsigned: 0,
    tailBytes: 0,
  })
  t.match(verdict.checkpoint, { size: 700, isPinned: false, signedBy: [/^modelgate\/[0-9a-f]{16}\/1\+/] })
  t.match(verdict.completeness, { isComplete: true, undeclared: 0, isOpen: false })
  t.ok(verdict.completeness.gaps > 0 && verdict.completeness.lost > 0)
  t.ok(verdict.completeness.crashes > 0 && verdict.completeness.unknownCrash > 0)
  t.equal(
    [...verdict.types.values()].reduce((sum, count) => sum + count, 0),
    700,
  )
  t.end()
})

t.test('records behind the checkpoint are told as not signed yet; a torn end is no damage', (t) => {
  const dataDir = madeLog({ unsigned: 90 })
  t.match(verifyLog(dataDir), { isWhole: true, records: 700, unsigned: 90, checkpoint: { size: 610 } })
  const last = listSegments(dataDir).at(-1)!
  const bytes = readFileSync(last.path)
  truncateSync(last.path, bytes.length - 5)
  const torn = verifyLog(dataDir)
  t.match(torn, { isWhole: true, records: 699, unsigned: 89 })
  t.ok(torn.tailBytes > 0)
  t.end()
})

t.test('the first bad place is named, with segment, sequence and byte', (t) => {
  const dataDir = madeLog()
  const [, second, third] = listSegments(dataDir)
  const bytes = readFileSync(second!.path)
  writeFileSync(second!.path, Buffer.from(bytes).fill(0, 3000, 3100))
  const { firstBad, isWhole } = verifyLog(dataDir)
  t.notOk(isWhole)
  t.equal(firstBad?.file, second!.file)
  t.ok(firstBad!.at > 128 && firstBad!.at <= 3000)
  t.ok(firstBad!.sequence! > second!.first && firstBad!.sequence! < third!.first)
  writeFileSync(second!.path, bytes)
  rmSync(second!.path)
  t.match(verifyLog(dataDir).firstBad, { file: third!.file, at: 0, sequence: second!.first })
  t.end()
})

/** Another byte in a record, and the checksum that fits it. */
function forge(dataDir: string, sequence: number): void {
  const { path } = listSegments(dataDir).findLast(({ first }) => first <= sequence)!
  const bytes = readFileSync(path)
  for (let at = FILE_HEADER_BYTES; at < bytes.length; ) {
    const frame = frameAt(bytes, at, bytes.length)
    if (typeof frame === 'string') throw new Error(frame)
    if (frame.sequence === sequence) {
      bytes[at + frame.bytes - 1] = bytes[at + frame.bytes - 1]! ^ 1
      sealFrame(bytes, at, frame, frame.payload.length)
    }
    at += frame.bytes
  }
  writeFileSync(path, bytes)
}

t.test('a part of the log is checked against the whole tree', (t) => {
  const dataDir = madeLog()
  const part = verifyLog(dataDir, { from: 300, to: 310 })
  t.match(part, { isWhole: true, checkpoint: { size: 700 } })
  t.ok(part.first <= 300 && part.last >= 310 && part.segments < listSegments(dataDir).length)
  const tile = join(dataDir, 'tile', '0', '001')
  const bytes = readFileSync(tile)
  bytes[40] = bytes[40]! ^ 1
  writeFileSync(tile, bytes)
  t.notOk(verifyLog(dataDir, { from: 300, to: 310 }).isWhole)
  bytes[40] = bytes[40]! ^ 1
  writeFileSync(tile, bytes)
  t.ok(verifyLog(dataDir, { from: 300, to: 310 }).isWhole)
  forge(dataDir, 305)
  const forged = verifyLog(dataDir, { from: 300, to: 310 })
  t.match(forged.firstBad, { file: /^segments/, sequence: 305, problem: /not the one the tree was made of/ })
  t.end()
})

t.test('a foreign key is found when the own one is given, and when no record introduced it', (t) => {
  const dataDir = madeLog()
  const own = keysOf(dataDir)
  const foreign = noteSigner(own[0]!.name, keyOfSeed(Buffer.alloc(32, 9)))
  t.match(verifyLog(dataDir, { pinned: own }), { isWhole: true, checkpoint: { isPinned: true } })
  t.match(verifyLog(dataDir, { pinned: [foreign.key] }).firstBad, { file: 'checkpoint', problem: /trusted/ })
  const { size, root } = verifyLog(dataDir).checkpoint!
  const forged = { origin: own[0]!.name, size, root: Buffer.from(root, 'base64') }
  writeFileSync(join(dataDir, 'checkpoint'), signCheckpoint(forged, [foreign]))
  t.match(verifyLog(dataDir).firstBad, { file: 'checkpoint', problem: /trusted/ })
  t.end()
})

t.test('a log rolled back, or forked, contradicts its witness', (t) => {
  const dataDir = madeLog()
  const saw = checkpointOf(dataDir)
  t.match(verifyLog(dataDir, { witness: witnessOf(saw) }).witness, { agreed: 1, contradictions: [] })
  // The same key and origin, by the same seed: what an owner of both could put in its place.
  const shorter = madeLog({ records: 500 })
  t.ok(verifyLog(shorter).isWhole, 'by itself it is a whole log')
  t.match(verifyLog(shorter, { witness: witnessOf(saw) }), {
    isWhole: false,
    witness: { contradictions: [/rolled back/] },
  })
  const other = madeLog({ days: 10 })
  t.ok(verifyLog(other).isWhole)
  t.match(verifyLog(other, { witness: witnessOf(saw) }).witness, { contradictions: [/forked/] })
  const later = madeLog({ records: 900, days: (9 * 900) / 700 })
  t.match(
    verifyLog(later, { witness: witnessOf(saw) }).witness?.contradictions.length,
    1,
    'another course of events',
  )
  t.end()
})

t.test('an earlier checkpoint agrees with the log that grew from it', (t) => {
  const dataDir = madeLog({ unsigned: 100 })
  const whole = madeLog()
  const note = checkpointOf(dataDir)
  t.match(verifyLog(whole, { witness: witnessOf(`${note}\n${checkpointOf(whole)}`) }).witness, { agreed: 2 })
  // The log itself, whose checkpoint was exchanged for that earlier one.
  cpSync(join(dataDir, 'checkpoint'), join(whole, 'checkpoint'))
  t.ok(verifyLog(whole).isWhole, 'nothing in the log tells')
  t.match(verifyLog(whole, { witness: witnessOf(checkpointOf(madeLog())) }).isWhole, false)
  t.end()
})

t.test('a proof holds without the log, and only with its key, its record and its receipt', (t) => {
  const dataDir = madeLog()
  const keys = keysOf(dataDir)
  const made = makeProof(dataDir, 123, true)
  if (made.kind !== 'proof') throw new Error(made.kind)
  const verdict = verifyProof(made.text, keys)
  t.match(verdict, { isProven: true, sequence: 123, size: 700, record: { place: { sequence: 123 } } })
  const receipt = `${keys[0]!.name};123;${verdict.leaf}`
  t.ok(verifyProof(made.text, keys, { receipt }).isProven)
  t.match(verifyLog(dataDir, { witness: witnessOf(`modelgate-receipt: ${receipt}\n${made.text}`) }).witness, {
    agreed: 2,
  })
  const forged = receipt.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'))
  t.match(verifyProof(made.text, keys, { receipt: forged }), { isProven: false, problem: /another record/ })
  t.match(verifyLog(dataDir, { witness: witnessOf(forged) }).witness?.contradictions, [/receipt was given/])
  const bare = makeProof(dataDir, 123, false)
  if (bare.kind !== 'proof') throw new Error(bare.kind)
  t.match(verifyProof(bare.text, keys), { isProven: false, problem: /receipt or the record/ })
  t.match(verifyProof(bare.text, keys, { receipt }), { isProven: true, record: null })
  t.match(verifyProof(made.text, [noteSigner(keys[0]!.name, keyOfSeed(Buffer.alloc(32, 9))).key]), {
    isProven: false,
  })
  t.match(verifyProof(made.text.replace('index 123', 'index 124'), keys), {
    isProven: false,
    problem: /index/,
  })
  t.same(makeProof(dataDir, 700, true), { kind: 'unknown' })
  t.same(makeProof(madeLog({ unsigned: 50 }), 690, true), { kind: 'not-signed-yet', size: 650 })
  t.end()
})

t.test('every proof of a log is proven, and none with a byte changed', (t) => {
  const dataDir = madeLog({ records: 300 })
  const keys = keysOf(dataDir)
  for (let sequence = 0; sequence < 300; sequence += 13) {
    const made = makeProof(dataDir, sequence, true)
    if (made.kind !== 'proof') throw new Error(made.kind)
    if (!verifyProof(made.text, keys).isProven) t.fail(`record ${sequence}`)
    const at = (sequence * 7919) % made.text.length
    const changed = `${made.text.slice(0, at)}${made.text[at] === 'A' ? 'B' : 'A'}${made.text.slice(at + 1)}`
    if (verifyProof(changed, keys).isProven) t.fail(`record ${sequence}, character ${at}`)
  }
  t.end()
})

t.test('a lane’s record that is missing before it was sequenced is a loss that nobody declared', (t) => {
  const dataDir = madeLog()
  t.ok(verifyLog(dataDir).completeness.isComplete)
  const silent = madeLog({ silentLosses: true })
  const { isWhole, completeness } = verifyLog(silent)
  t.ok(isWhole, 'what was written is what was written')
  t.match(completeness, { isComplete: false, gaps: 0 })
  t.ok(completeness.undeclared > 0 && completeness.holes.length > 0)
  t.end()
})
