/**
 * `modelgate audit rotate-key`: another key signs the log from its next checkpoint on. The change is on record, signed
 * by both. Exit 0 it was asked for, 2 wrong usage, 3 it could not be.
 */
import { parseArgs } from 'node:util'
import { askForRotation, readOriginFile } from '../../audit/identity.ts'
import { formatVerifierKey } from '../../audit/tree/note.ts'
import { askedOf } from '../asked.ts'
import { findDataDir, WHERE_OPTIONS } from '../data-dir.ts'
import type { Io } from '../io.ts'

const USAGE = `Usage: modelgate audit rotate-key [--config FILE] [--data DIR] [--json]

  Makes a new key to sign the log with. A running gateway takes it within a second or two, else the next start does;
  asking again before that changes nothing. Who checks the log follows by the record of the change; who keeps
  the key in a file of their own should add the one printed here.

  --config   whose data_dir holds the log (gateway.toml unless told)
  --data     the log's directory itself; no configuration is read
  --json     the new public key as data
`

export async function rotateKey(args: readonly string[], io: Io): Promise<number> {
  const asked = askedOf(() => parse(args), { command: 'modelgate audit rotate-key', usage: USAGE, io })
  if (typeof asked === 'number') return asked
  const dataDir = await findDataDir(asked, 'modelgate audit rotate-key', io)
  if (dataDir === undefined) return 3
  try {
    const origin = readOriginFile(dataDir)
    if (origin === undefined) {
      io.stderr(`modelgate audit rotate-key: ${dataDir} holds no log yet; its first start makes a key\n`)
      return 3
    }
    const key = formatVerifierKey(askForRotation(dataDir, origin))
    io.stdout(asked.json ? `${JSON.stringify({ key }, null, 2)}\n` : `the next key is\n${key}\n`)
    return 0
  } catch (error) {
    io.stderr(`modelgate audit rotate-key: ${(error as Error).message}\n`)
    return 3
  }
}

interface Asked {
  readonly config: string
  readonly data: string | undefined
  readonly json: boolean
  readonly help: boolean
}

function parse(args: readonly string[]): Asked | string {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...WHERE_OPTIONS,
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { config, data, json, help } = values
  return { config, data, json, help }
}
