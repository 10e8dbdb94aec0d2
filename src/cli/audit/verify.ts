/**
 * `modelgate audit verify`: whether the log is what was written, and whether it is all of it; or, with `--proof`,
 * whether one record was in a log, without that log. Exit 0 yes; 1 no, or records are missing that the log does not
 * account for; 2 wrong usage; 3 could not ask.
 */
import { readFileSync, statSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { leaveAccess } from '../../audit/inbox.ts'
import { parseCount } from '../../audit/tree/checkpoint.ts'
import { parseVerifierKeys, textOf, type VerifierKey } from '../../audit/tree/note.ts'
import type { LogVerdict } from '../../audit/verify/log-verdict.ts'
import { verifyLog } from '../../audit/verify/verify-log.ts'
import type { ProofVerdict } from '../../audit/verify/verify-proof.ts'
import { parseWitness, WITNESS_BYTES_MAX, type Witness } from '../../audit/verify/witness.ts'
import { askedOf } from '../asked.ts'
import { findDataDir, WHERE_OPTIONS } from '../data-dir.ts'
import type { Io } from '../io.ts'
import { legible } from '../legible.ts'
import { tellProof, tellVerdict, verdictData } from './verdict-text.ts'

const USAGE = `Usage: modelgate audit verify [--from SEQ] [--to SEQ] [--witness FILE] [--key FILE] [--config FILE | --data DIR] [--json]
       modelgate audit verify --proof FILE --key FILE [--receipt TEXT] [--record FILE] [--json]

  --from, --to   only the segments that hold these records
  --key          verifier keys to believe, one a line; without, the log's own first key is believed
  --witness      what somebody kept: signed checkpoints, proofs, receipts (the header modelgate-receipt)
  --proof        a proof of one record, as modelgate audit proof gives it; no log is needed
  --receipt      the receipt that the record has to fit
  --record       the record's entry itself, in a file, when the proof does not hold it
  --config       whose data_dir holds the log (gateway.toml unless told)
  --data         the log's directory itself; no configuration is read
  --json         the verdict as data

Beside a running gateway and without one. Exit 0: whole, and nothing missing that the log does not account for.
`

interface Asked {
  readonly config: string
  readonly data: string | undefined
  readonly from: number | undefined
  readonly to: number | undefined
  readonly key: string | undefined
  readonly witness: string | undefined
  readonly proof: string | undefined
  readonly receipt: string | undefined
  readonly record: string | undefined
  readonly json: boolean
  readonly help: boolean
}

export async function verify(args: readonly string[], io: Io): Promise<number> {
  const asked = askedOf(() => parse(args), { command: 'modelgate audit verify', usage: USAGE, io })
  if (typeof asked === 'number') return asked
  try {
    return await (asked.proof === undefined ? verifyDirectory(asked, io) : verifyFile(asked.proof, asked, io))
  } catch (error) {
    io.stderr(`modelgate audit verify: ${legible((error as Error).message)}\n`)
    return 3
  }
}

async function verifyDirectory(asked: Asked, io: Io): Promise<number> {
  const dataDir = await findDataDir(asked, 'modelgate audit verify', io)
  if (dataDir === undefined) return 3
  const { from, to } = asked
  const verdict: LogVerdict = verifyLog(dataDir, {
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(asked.key === undefined ? {} : { pinned: readKeys(asked.key) }),
    ...(asked.witness === undefined ? {} : { witness: readWitness(asked.witness) }),
    ...(process.stderr.isTTY ? { onProgress: progressBar(io) } : {}),
  })
  if (process.stderr.isTTY) io.stderr('\r\x1b[K')
  const words = from === undefined && to === undefined ? 'all' : `${from ?? 0} to ${to ?? 'the end'}`
  const unrecorded = leaveAccess(dataDir, { action: 'audit verify', asked: words, records: verdict.records })
  if (unrecorded !== null) io.stderr(`modelgate audit verify: ${unrecorded}\n`)
  io.stdout(legible(asked.json ? `${JSON.stringify(verdictData(verdict), null, 2)}\n` : tellVerdict(verdict)))
  return verdict.isWhole && verdict.completeness.isComplete ? 0 : 1
}

async function verifyFile(path: string, asked: Asked, io: Io): Promise<number> {
  const { verifyProof } = await import('../../audit/verify/verify-proof.ts')
  const keys = readKeys(asked.key!)
  const verdict: ProofVerdict = verifyProof(readText(path), keys, {
    receipt: asked.receipt,
    entry: asked.record === undefined ? undefined : readFileSync(asked.record),
  })
  io.stdout(legible(asked.json ? `${JSON.stringify(verdict, null, 2)}\n` : tellProof(verdict)))
  return verdict.isProven ? 0 : 1
}

/** At most ten times a second. */
function progressBar(io: Io): (done: number, of: number) => void {
  let shown = -1
  return (done, of) => {
    const percent = of === 0 ? 100 : Math.floor((100 * done) / of)
    if (percent === shown) return
    shown = percent
    io.stderr(`\r[${'#'.repeat(percent / 4).padEnd(25)}] ${percent} %`)
  }
}

function readKeys(path: string): VerifierKey[] {
  const keys = parseVerifierKeys(readText(path))
  if (typeof keys === 'string') throw new Error(`${path}: ${keys}`)
  return keys
}

function readWitness(path: string): Witness {
  if (statSync(path).size > WITNESS_BYTES_MAX)
    throw new Error(`${path} is larger than ${WITNESS_BYTES_MAX} bytes`)
  const witness = parseWitness(readText(path))
  if (typeof witness === 'string') throw new Error(`${path}: ${witness}`)
  return witness
}

function readText(path: string): string {
  const text = textOf(readFileSync(path))
  if (text === undefined) throw new Error(`${path} is no text in UTF-8`)
  return text
}

function parse(args: readonly string[]): Asked | string {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...WHERE_OPTIONS,
      from: { type: 'string' },
      to: { type: 'string' },
      key: { type: 'string' },
      witness: { type: 'string' },
      proof: { type: 'string' },
      receipt: { type: 'string' },
      record: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { config, data, key, witness, proof, receipt, record, json, help } = values
  const [from, to] = [values.from, values.to].map((text) =>
    text === undefined ? undefined : parseCount(text),
  )
  if (values.from !== undefined && from === undefined) return `--from '${values.from}' is no sequence`
  if (values.to !== undefined && to === undefined) return `--to '${values.to}' is no sequence`
  if (from !== undefined && to !== undefined && from > to) return '--from lies behind --to'
  if (proof !== undefined && key === undefined)
    return '--proof needs --key FILE: a proof does not vouch for its own key'
  if (proof === undefined && (receipt ?? record) !== undefined)
    return '--receipt and --record belong to --proof'
  return { config, data, from, to, key, witness, proof, receipt, record, json, help }
}
