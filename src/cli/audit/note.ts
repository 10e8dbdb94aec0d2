/**
 * `modelgate audit note "words"`: puts what a person wants remembered into the log, at its time and under their name.
 * Exit 0 it waits for the gateway or its next start, 2 wrong usage, 3 it could not be left.
 */
import { parseArgs } from 'node:util'
import { WORDS_MAX } from '../../audit/inbox/inbox-note.ts'
import { leaveNote, whoAsks } from '../../audit/inbox.ts'
import { systemClock } from '../../kernel/clock.ts'
import { askedOf } from '../asked.ts'
import { findDataDir, WHERE_OPTIONS } from '../data-dir.ts'
import type { Io } from '../io.ts'

const USAGE = `Usage: modelgate audit note WORDS [--by NAME] [--config FILE] [--data DIR] [--json]

  WORDS      what should be on record, at most ${WORDS_MAX} characters; quote them
  --by       whose words they are; the user of this process is named beside it
  --config   whose data_dir holds the log (gateway.toml unless told)
  --data     the log's directory itself; no configuration is read
  --json     what was left, as data
`

export async function note(args: readonly string[], io: Io): Promise<number> {
  const asked = askedOf(() => parse(args), { command: 'modelgate audit note', usage: USAGE, io })
  if (typeof asked === 'number') return asked
  const dataDir = await findDataDir(asked, 'modelgate audit note', io)
  if (dataDir === undefined) return 3
  const left = { at: systemClock.wall(), by: byLine(asked.by), words: asked.words }
  const problem = leaveNote(dataDir, 'note', left)
  if (problem !== null) {
    io.stderr(`modelgate audit note: nothing was left: ${problem}\n`)
    return 3
  }
  io.stdout(
    asked.json
      ? `${JSON.stringify(left, null, 2)}\n`
      : 'The note waits for the gateway, which records it within a second, or at its next start.\n',
  )
  return 0
}

/** `--by` is what somebody says of themselves; the system's name stands beside it. */
export function byLine(name: string | undefined): string {
  return name === undefined || name === '' ? whoAsks() : `${name}, as ${whoAsks()}`
}

interface Asked {
  readonly words: string
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
      by: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { by, config, data, json, help } = values
  const words = positionals[0] ?? ''
  if (!help && (positionals.length !== 1 || words.trim() === ''))
    return 'the words are needed, as one argument: quote them'
  if (words.length > WORDS_MAX) return `the words are ${words.length} characters; at most ${WORDS_MAX} fit`
  if (by !== undefined && by.length > BY_MAX) return `--by is longer than ${BY_MAX} characters`
  return { words, by, config, data, json, help }
}

/** UTF-16 units; the system's name needs room beside it. */
export const BY_MAX = 128
