/** The test vectors of the log: that they are reproducible, and that two verifiers who share no code find the same. */
import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t from 'tap'
import type { Edit, LogCase, ProofCase } from '../../scripts/audit-vectors/cases.ts'
import { writeVectors } from '../../scripts/audit-vectors/write-vectors.ts'
import { parseVerifierKeys, type VerifierKey } from '../../src/audit/tree/note.ts'
import { verifyLog } from '../../src/audit/verify/verify-log.ts'
import { verifyProof } from '../../src/audit/verify/verify-proof.ts'
import { parseWitness } from '../../src/audit/verify/witness.ts'
import { newFolder } from './new-folder.ts'

const VECTORS = 'test/corpus/audit'
const NOT_GENERATED = 'README.md'
const NO_PYTHON = 'there is no python3 here: the second verifier was NOT run'

interface Verdicts {
  readonly logs: readonly LogCase[]
  readonly proofs: readonly ProofCase[]
}

const { logs, proofs } = JSON.parse(textOf('verdicts.json')) as Verdicts
const hasPython = spawnSync('python3', ['--version']).status === 0

function textOf(name: string): string {
  return readFileSync(join(VECTORS, name), 'utf8')
}

function keysOf(name: string): VerifierKey[] {
  const keys = parseVerifierKeys(textOf(name))
  if (typeof keys === 'string') throw new Error(keys)
  return keys
}

function witnessOf(name: string) {
  const witness = parseWitness(textOf(name))
  if (typeof witness === 'string') throw new Error(witness)
  return witness
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== NOT_GENERATED)
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
}

function apply(dataDir: string, edit: Edit): void {
  const path = join(dataDir, edit.file)
  if (edit.edit === 'remove') return rmSync(path)
  if (edit.edit === 'truncate') return truncateSync(path, edit.at)
  if (edit.edit === 'put') return cpSync(join(VECTORS, edit.source), path, { recursive: true })
  const bytes = readFileSync(path)
  if (edit.edit === 'swap') {
    writeFileSync(path, readFileSync(join(dataDir, edit.other)))
    return writeFileSync(join(dataDir, edit.other), bytes)
  }
  const { at } = edit
  if (edit.edit === 'xor') bytes[at] = bytes[at]! ^ edit.with
  else if (edit.edit === 'zero') bytes.fill(0, at, at + edit.bytes)
  const isCut = edit.edit === 'cut'
  writeFileSync(path, isCut ? Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + edit.bytes)]) : bytes)
}

/** A copy of the case's log, with what was done to it. */
function logOf({ log, edits }: LogCase): string {
  const dataDir = newFolder()
  cpSync(join(VECTORS, log), dataDir, { recursive: true })
  for (const edit of edits) apply(dataDir, edit)
  return dataDir
}

/** What our own verifier finds, in the words of the vectors. */
function ownVerdict(dataDir: string, { key, witness }: LogCase) {
  const { isWhole, completeness, records, checkpoint, firstBad } = verifyLog(dataDir, {
    ...(key === undefined ? {} : { pinned: keysOf(key) }),
    ...(witness === undefined ? {} : { witness: witnessOf(witness) }),
  })
  const { isComplete, undeclared } = completeness
  const signed = checkpoint?.size ?? 0
  return { isWhole, isComplete, records, signed, undeclared, firstBad: firstBad?.sequence ?? null }
}

/** What the second verifier is asked, all of it in one process: to start Python takes longer than most answers. */
const asked: {
  readonly name: string
  readonly words: readonly string[]
  readonly expected: object
  readonly status: number
}[] = []

const ASK_ALL = `
import contextlib, io, json, sys
sys.path.insert(0, "test/audit")
import second_verifier
for words in json.load(sys.stdin):
    said = io.StringIO()
    with contextlib.redirect_stdout(said): status = second_verifier.main(words)
    print(json.dumps({"status": status, "verdict": json.loads(said.getvalue())}))
`

t.test('the vectors are those that the generator writes', (t) => {
  const made = newFolder()
  writeVectors(made)
  t.same(filesIn(made), filesIn(VECTORS))
  for (const file of filesIn(made)) {
    if (!readFileSync(join(made, file)).equals(readFileSync(join(VECTORS, file)))) t.fail(`${file} differs`)
  }
  t.end()
})

for (const each of logs) {
  const words = [
    ...(each.key === undefined ? [] : ['--key', join(VECTORS, each.key)]),
    ...(each.witness === undefined ? [] : ['--witness', join(VECTORS, each.witness)]),
  ]
  t.test(`log vector: ${each.name}`, (t) => {
    const dataDir = logOf(each)
    t.match(ownVerdict(dataDir, each), each.expected)
    const status = each.expected.isWhole && each.expected.isComplete ? 0 : 1
    asked.push({ name: each.name, words: [dataDir, ...words], expected: each.expected, status })
    t.end()
  })
}

for (const { name, proof, key, edits, expected } of proofs) {
  t.test(`proof vector: ${name}`, (t) => {
    let text = textOf(proof)
    for (const edit of edits) {
      t.ok(text.includes(edit.old), `it holds ${JSON.stringify(edit.old)}`)
      text = text.replace(edit.old, edit.new)
    }
    t.match(verifyProof(text, keysOf(key)), expected)
    const path = join(newFolder(), 'proof.txt')
    writeFileSync(path, text)
    const words = ['--proof', path, '--key', join(VECTORS, key)]
    asked.push({ name, words, expected, status: expected.isProven ? 0 : 1 })
    t.end()
  })
}

t.test('the receipt of the vectors is for the record that the proof holds', (t) => {
  const receipt = textOf('receipt.txt').replace('modelgate-receipt: ', '').trim()
  t.ok(verifyProof(textOf('proof.txt'), keysOf('second.vkey'), { receipt }).isProven)
  t.match(verifyLog(join(VECTORS, 'good'), { witness: witnessOf('receipt.txt') }).witness, { agreed: 1 })
  t.end()
})

t.test(
  'a second verifier, which shares no code with this one, finds the same in every vector',
  { skip: hasPython ? false : NO_PYTHON },
  (t) => {
    const input = JSON.stringify(asked.map(({ words }) => words))
    const { stdout, stderr } = spawnSync('python3', ['-B', '-c', ASK_ALL], { encoding: 'utf8', input })
    t.equal(stderr, '')
    const said = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object)
    t.equal(said.length, logs.length + proofs.length)
    for (const [index, { name, expected, status }] of asked.entries())
      t.match(said[index], { verdict: expected, status }, name)
    t.end()
  },
)
