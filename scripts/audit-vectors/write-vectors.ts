/** Writes the test vectors of the log: whole logs, what is done to them, and what a checker has to find then. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeProof } from '../../src/audit/make-proof.ts'
import { parseCheckpointText, signCheckpoint } from '../../src/audit/tree/checkpoint.ts'
import { formatVerifierKey, type NoteSigner, parseNote } from '../../src/audit/tree/note.ts'
import { verifyProof } from '../../src/audit/verify/verify-proof.ts'
import { logCases, proofCases } from './cases.ts'
import { drawnSigner } from './log-writer.ts'
import { copyTail, writeGood, writeIncomplete, writePruned, writeStolen } from './logs.ts'

/** Record that the proof and the receipt are about: a decision. */
const PROVEN = 106
/** The course of events of the fork. */
const OTHER = 5000

/** Into `target`, which may hold the same from before. */
export function writeVectors(target: string): void {
  for (const name of ['good', 'fork', 'incomplete', 'pruned', 'stolen'])
    rmSync(join(target, name), { recursive: true, force: true })
  const put = (name: string, text: string) => writeFileSync(join(target, name), text)
  const good = join(target, 'good')
  const { log, early } = writeGood(good)
  const { origin, signer } = log.identity
  const foreign = drawnSigner(origin, 'foreign key')
  put('early-checkpoint.txt', early)
  const checkpoint = readFileSync(join(good, 'checkpoint'), 'utf8')
  put('foreign-checkpoint.txt', signedBy(foreign, checkpoint))
  put('checkpoint-signed-twice.txt', checkpoint + checkpoint.slice(checkpoint.indexOf('—')))
  put('good.vkey', `${formatVerifierKey(signer.key)}\n`)
  put('foreign.vkey', `${formatVerifierKey(foreign.key)}\n`)
  writeFork(target)
  writeIncomplete(join(target, 'incomplete'))
  writePruned(join(target, 'pruned'), join(target, 'pruned-rest.seg'))
  writeStolen(join(target, 'stolen'))
  const proof = makeProof(good, PROVEN, true)
  if (proof.kind !== 'proof') throw new Error(`record ${PROVEN} has no proof: ${proof.kind}`)
  put('proof.txt', proof.text)
  const { leaf } = verifyProof(proof.text, [drawnSigner(origin, 'second key').key])
  put('receipt.txt', `modelgate-receipt: ${origin};${PROVEN};${leaf}\n`)
  put('second.vkey', `${formatVerifierKey(drawnSigner(origin, 'second key').key)}\n`)
  const verdicts = { logs: logCases(good), proofs: proofCases(PROVEN) }
  put('verdicts.json', `${JSON.stringify(verdicts, null, 2)}\n`)
}

function writeFork(target: string): void {
  const whole = join(target, 'fork-draft')
  rmSync(whole, { recursive: true, force: true })
  writeGood(whole, OTHER)
  mkdirSync(join(target, 'fork'))
  copyTail(whole, join(target, 'fork'))
  rmSync(whole, { recursive: true })
}

/** The same checkpoint as another signer's. */
function signedBy(signer: NoteSigner, checkpoint: string): string {
  const note = parseNote(checkpoint)
  const head = typeof note === 'string' ? note : parseCheckpointText(note.text)
  if (typeof head === 'string') throw new Error(head)
  return signCheckpoint(head, [signer])
}
