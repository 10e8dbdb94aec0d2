/**
 * `modelgate audit erase`: destroys the key of a subject, so that nobody can read what was captured of it any more. It
 * works beside a running gateway and without one. Exit 0 erased, or nothing was there; 1 the log is held or the answer was no; 2
 * wrong usage; 3 could not.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { SubjectKeys, subjectNamed } from '../../audit/capture/subject-keys.ts'
import { Digester } from '../../audit/digests.ts'
import { systemDisk } from '../../audit/disk.ts'
import { holdOf } from '../../audit/hold.ts'
import { leaveNote } from '../../audit/inbox.ts'
import { KEY_FILE } from '../../audit/paths.ts'
import { systemClock } from '../../kernel/clock.ts'
import { askedOf } from '../asked.ts'
import { findDataDir, WHERE_OPTIONS } from '../data-dir.ts'
import type { Io } from '../io.ts'
import { legible } from '../legible.ts'
import { BY_MAX, byLine } from './note.ts'

const USAGE = `Usage: modelgate audit erase --subject NAME --yes [--by NAME] [--config FILE] [--data DIR] [--json]

  --subject  whom the bodies are about, exactly as callers name it (audit.capture.subject)
  --yes      do it: what was captured of the subject cannot be read by anybody afterwards
  --by       whose decision it is; the user of this process is named beside it
  --config   whose data_dir holds the log (gateway.toml unless told)
  --data     the log's directory itself; no configuration is read
  --json     what was done, as data

Every proof of the log stays valid. Decisions about the subject stay, too: they hold digests, and the address and user agent
of whoever asked. While the log is held (modelgate audit hold) nobody is erased. Keys are overwritten where they lie;
copies in backups, snapshots and the spare cells of flash are not reached: see src/audit/SPEC.md.
`

export async function erase(args: readonly string[], io: Io): Promise<number> {
  const asked = askedOf(() => parse(args), { command: 'modelgate audit erase', usage: USAGE, io })
  if (typeof asked === 'number') return asked
  const dataDir = await findDataDir(asked, 'modelgate audit erase', io)
  if (dataDir === undefined) return 3
  const refusal = refusalOf(dataDir, asked.yes)
  if (refusal !== null) {
    io.stderr(legible(`modelgate audit erase: nothing was erased: ${refusal}\n`))
    return 1
  }
  try {
    return eraseIn(dataDir, asked, io)
  } catch (error) {
    io.stderr(`modelgate audit erase: ${(error as Error).message}\n`)
    return 3
  }
}

function refusalOf(dataDir: string, isSure: boolean): string | null {
  const hold = holdOf(dataDir)
  if (hold !== null)
    return `the log is held by ${hold.by || 'somebody'}${hold.why === '' ? '' : `: ${hold.why}`}`
  return isSure ? null : 'it cannot be undone; say --yes when that is meant'
}

/** The key first: what could not be put on record is told, and can be done again. */
function eraseIn(dataDir: string, asked: Asked, io: Io): number {
  const digester = new Digester(readFileSync(join(dataDir, KEY_FILE)))
  const { digest: subject } = subjectNamed(digester, asked.subject)
  const keys = new SubjectKeys(dataDir, systemDisk).destroy(subject)
  const note = { at: systemClock.wall(), by: byLine(asked.by), subject, keys }
  const problem = leaveNote(dataDir, 'erase', note)
  if (problem !== null) {
    io.stderr(
      `modelgate audit erase: keys destroyed: ${keys}; but that could not be put on record, and a running gateway goes on with a key that it remembers: ${problem}. Run it again.\n`,
    )
    return 3
  }
  const words =
    keys === 0
      ? 'There was no key: nothing was captured of this subject, or it was erased before.'
      : 'The key is destroyed: what was captured of this subject cannot be read any more.'
  io.stdout(
    asked.json ? `${JSON.stringify(note, null, 2)}\n` : `${words} The subject is on record as ${subject}.\n`,
  )
  return 0
}

interface Asked {
  readonly subject: string
  readonly yes: boolean
  readonly by: string | undefined
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
      subject: { type: 'string', default: '' },
      yes: { type: 'boolean', default: false },
      by: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (!values.help && values.subject === '') return '--subject NAME is needed'
  if ((values.by ?? '').length > BY_MAX) return `--by is longer than ${BY_MAX} characters`
  const { subject, yes, by, config, data, json, help } = values
  return { subject, yes, by, config, data, json, help }
}
