/**
 * `modelgate audit repair`: what to do with a log that the gateway refuses to open. It is set aside whole and a new one
 * begins, whose first records say so. Exit 0 the log can be opened (now), 1 it cannot and nothing was done, 2 wrong
 * usage, 3 it could not be tried.
 */
import { parseArgs } from 'node:util'
import { whoAsks } from '../../audit/inbox.ts'
import { takeLock } from '../../audit/lock.ts'
import { problemOf, setAside } from '../../audit/repair.ts'
import { systemClock } from '../../kernel/clock.ts'
import { askedOf } from '../asked.ts'
import { findDataDir, WHERE_OPTIONS } from '../data-dir.ts'
import type { Io } from '../io.ts'
import { legible } from '../legible.ts'

const COMMAND = 'modelgate audit repair'
const WORDS_MAX = 1000
const USAGE = `Usage: ${COMMAND} [--acknowledge-loss --why WORDS] [--config FILE] [--data DIR] [--json]

  Looks at a log that the gateway refuses to open, and says why. With --acknowledge-loss it is set aside, unchanged, in
  epochs/<n> of its directory, where modelgate audit verify --data still reads it, and a new log begins there: with a new
  origin and a new key, and with a record that says what was set aside, why, and who said so. The gateway must
  not be running.

  --acknowledge-loss   do it
  --why                for the record: what happened, at most ${WORDS_MAX} characters
  --config             whose data_dir holds the log (gateway.toml unless told)
  --data               the log's directory itself; no configuration is read
  --json               the result as data
`

interface Result {
  readonly problem: string | null
  /** Of the new log, and where the old one lies; null when nothing was done. */
  readonly origin: string | null
  readonly folder: string | null
}

export async function repair(args: readonly string[], io: Io): Promise<number> {
  const asked = askedOf(() => parse(args), { command: COMMAND, usage: USAGE, io })
  if (typeof asked === 'number') return asked
  const dataDir = await findDataDir(asked, COMMAND, io)
  if (dataDir === undefined) return 3
  try {
    const lock = await takeLock(dataDir, systemClock)
    if (typeof lock === 'string') {
      io.stderr(`${COMMAND}: ${lock}\n`)
      return 3
    }
    try {
      return tell(look(dataDir, asked), asked.json, io)
    } finally {
      lock.release()
    }
  } catch (error) {
    io.stderr(`${COMMAND}: ${(error as Error).message}\n`)
    return 3
  }
}

function look(dataDir: string, { acknowledge, why }: Asked): Result {
  const problem = problemOf(dataDir)
  if (problem === null || !acknowledge) return { problem, origin: null, folder: null }
  const words = why.slice(0, WORDS_MAX)
  return { problem, ...setAside(dataDir, { at: systemClock.wall(), by: whoAsks(), words, problem }) }
}

function tell(result: Result, isJson: boolean, io: Io): number {
  const { problem, origin, folder } = result
  const isWell = problem === null || folder !== null
  if (isJson) io.stdout(`${JSON.stringify(result, null, 2)}\n`)
  else if (problem === null) io.stdout('The log can be opened; there is nothing to repair.\n')
  else if (folder === null)
    io.stdout(
      legible(
        `The log cannot be opened: ${problem}\n\nNothing was changed. Look for a copy of what is missing or altered first; modelgate audit verify names the\nplace. --acknowledge-loss --why WORDS sets this log aside and begins a new one.\n`,
      ),
    )
  else
    io.stdout(
      legible(
        `The log could not be opened: ${problem}\nIt lies, unchanged, in ${folder}.\nThe next start begins ${origin}, and has this on record.\n`,
      ),
    )
  return isWell ? 0 : 1
}

interface Asked {
  readonly acknowledge: boolean
  readonly why: string
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
      'acknowledge-loss': { type: 'boolean', default: false },
      why: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { config, data, json, help, why } = values
  return { acknowledge: values['acknowledge-loss'], why, config, data, json, help }
}
