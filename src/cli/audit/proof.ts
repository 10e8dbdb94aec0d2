/**
 * `modelgate audit proof SEQ`: the proof that record SEQ is in the log, for somebody who has nothing but the log's
 * key. Exit 0 here it is; 1 there is no such record; 2 wrong usage; 3 could not, or no checkpoint covers it yet.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { leaveAccess } from '../../audit/inbox.ts'
import { awaitProof, type ProofMade } from '../../audit/make-proof.ts'
import { parseCount } from '../../audit/tree/checkpoint.ts'
import { askedOf } from '../asked.ts'
import { findDataDir, WHERE_OPTIONS } from '../data-dir.ts'
import type { Io } from '../io.ts'
import { legible } from '../legible.ts'

const USAGE = `Usage: modelgate audit proof SEQ [--out FILE] [--without-record] [--config FILE | --data DIR] [--json]

  SEQ               sequence of the record: modelgate explain tells it, and so does a receipt
  --out             the file to write, which must not be there; else the proof is printed
  --without-record  leave the record itself out: whoever checks needs a receipt, or the record
  --config          whose data_dir holds the log (gateway.toml unless told)
  --data            the log's directory itself; no configuration is read
  --json            the proof in a JSON object

modelgate audit verify --proof FILE --key FILE checks it, anywhere. The key is in keys/log.vkey of the log's directory.
`

export async function proof(args: readonly string[], io: Io): Promise<number> {
  const asked = askedOf(() => parse(args), { command: 'modelgate audit proof', usage: USAGE, io })
  if (typeof asked === 'number') return asked
  const dataDir = await findDataDir(asked, 'modelgate audit proof', io)
  if (dataDir === undefined) return 3
  try {
    const made = await awaitProof(dataDir, asked.sequence, asked.hasRecord)
    const unrecorded = leaveAccess(dataDir, {
      action: 'audit proof',
      asked: String(asked.sequence),
      records: made.kind === 'proof' ? 1 : 0,
    })
    if (unrecorded !== null) io.stderr(`modelgate audit proof: ${unrecorded}\n`)
    return tell(made, asked, io)
  } catch (error) {
    io.stderr(`modelgate audit proof: ${legible((error as Error).message)}\n`)
    return 3
  }
}

function tell(made: ProofMade, { sequence, out, json }: Asked, io: Io): number {
  if (made.kind === 'unknown') {
    io.stderr(`modelgate audit proof: the log has no record ${sequence}\n`)
    return 1
  }
  if (made.kind === 'not-signed-yet') {
    const covered = `the newest checkpoint covers ${made.size} records`
    io.stderr(
      `modelgate audit proof: record ${sequence} is not signed yet: ${covered}; a running gateway signs each second\n`,
    )
    return 3
  }
  if (out !== undefined) {
    writeFileSync(out, made.text, { flag: 'wx' })
    io.stderr(`modelgate audit proof: ${legible(out)}\n`)
  }
  if (json) io.stdout(`${JSON.stringify({ sequence, proof: made.text }, null, 2)}\n`)
  else if (out === undefined) io.stdout(made.text)
  return 0
}

interface Asked {
  readonly sequence: number
  readonly out: string | undefined
  readonly hasRecord: boolean
  readonly config: string
  readonly data: string | undefined
  readonly json: boolean
  readonly help: boolean
}

function parse(args: readonly string[]): Asked | string {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...WHERE_OPTIONS,
      out: { type: 'string' },
      'without-record': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { out, config, data, json, help } = values
  const sequence = parseCount(positionals[0] ?? '')
  if (!help && (positionals.length !== 1 || sequence === undefined))
    return 'exactly one sequence is needed, a number like 4711'
  return { sequence: sequence ?? 0, out, hasRecord: !values['without-record'], config, data, json, help }
}
