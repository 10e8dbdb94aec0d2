/**
 * `modelgate audit hold on|off`: forbids that anything of the log is deleted, or allows it again. It binds when the
 * command returns; the gateway puts it on record. Exit 0 done, or held when that was asked; 1 not held; 2 wrong usage; 3 could not.
 */
import { parseArgs } from 'node:util'
import { commandedHoldOf, type Hold, holdOf, liftHold, putHold } from '../../audit/hold.ts'
import { leaveNote } from '../../audit/inbox.ts'
import { systemClock } from '../../kernel/clock.ts'
import { askedOf } from '../asked.ts'
import { findDataDir, WHERE_OPTIONS } from '../data-dir.ts'
import { timeOf } from '../explain-words.ts'
import type { Io } from '../io.ts'
import { legible } from '../legible.ts'
import { BY_MAX, byLine } from './note.ts'

const WHY_MAX = 1000

const USAGE = `Usage: modelgate audit hold [on|off] [--why WORDS] [--by NAME] [--config FILE] [--data DIR] [--json]

  on         from now on nothing of the log is deleted, whatever its age, and no subject is erased
  off        retention and erasing go on; audit.hold in the configuration still holds if it is set
  neither    tells whether the log is held: exit 0 it is, 1 it is not
  --why      for the record: the matter, who ordered it
  --by       whose decision it is; the user of this process is named beside it
  --config   whose data_dir holds the log (gateway.toml unless told)
  --data     the log's directory itself; no configuration is read
  --json     the state, as data
`

export async function hold(args: readonly string[], io: Io): Promise<number> {
  const asked = askedOf(() => parse(args), { command: 'modelgate audit hold', usage: USAGE, io })
  if (typeof asked === 'number') return asked
  const dataDir = await findDataDir(asked, 'modelgate audit hold', io)
  if (dataDir === undefined) return 3
  const before = holdOf(dataDir)
  if (asked.action === undefined) {
    tell(before, asked.json, io)
    return before === null ? 1 : 0
  }
  const isOn = asked.action === 'on'
  if (isOn !== (commandedHoldOf(dataDir) !== null)) {
    const problem = turn(dataDir, isOn, { at: systemClock.wall(), by: byLine(asked.by), why: asked.why })
    if (problem !== null) {
      io.stderr(`modelgate audit hold: ${problem}\n`)
      return 3
    }
  }
  tell(holdOf(dataDir), asked.json, io)
  return 0
}

/** A hold binds before it is on record; it is lifted only after that will be. Null, or what could not be done. */
function turn(dataDir: string, isOn: boolean, hold: Hold): string | null {
  const { at, by, why } = hold
  const left = () => leaveNote(dataDir, 'hold', { at, by, isOn, words: why })
  try {
    if (isOn) {
      putHold(dataDir, hold)
      const problem = left()
      return problem === null ? null : `the log is held, but that could not be put on record: ${problem}`
    }
    const problem = left()
    if (problem !== null)
      return `the log is still held, because lifting that could not be put on record: ${problem}`
    liftHold(dataDir)
    return null
  } catch (error) {
    return `${dataDir}: ${(error as Error).message}`
  }
}

function tell(hold: Hold | null, isJson: boolean, io: Io): void {
  if (isJson) return io.stdout(`${JSON.stringify({ isOn: hold !== null, hold }, null, 2)}\n`)
  io.stdout(
    legible(
      hold === null
        ? 'The log is not held.\n'
        : `The log is held since ${timeOf(hold.at)}, by ${hold.by || 'somebody'}${hold.why === '' ? '' : `: ${hold.why}`}\n`,
    ),
  )
}

interface Asked {
  readonly action: 'on' | 'off' | undefined
  readonly why: string
  readonly by: string | undefined
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
      why: { type: 'string', default: '' },
      by: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { why, by, config, data, json, help } = values
  const [action, ...more] = positionals
  if (!help && (more.length > 0 || (action !== undefined && action !== 'on' && action !== 'off')))
    return `'${positionals.join(' ')}' is neither on nor off`
  if (why.length > WHY_MAX) return `--why is longer than ${WHY_MAX} characters`
  if ((by ?? '').length > BY_MAX) return `--by is longer than ${BY_MAX} characters`
  return { action: action as Asked['action'], why, by, config, data, json, help }
}
