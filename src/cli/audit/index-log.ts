/**
 * `modelgate audit index`: makes the index of the log whole now, instead of in the background of a gateway, or anew.
 * Works beside a running gateway and without one; never touches the log itself.
 *
 * Exit 0 it is whole, 2 wrong usage, 3 the log cannot be read or the index not be written.
 */
import { rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { coveredOf } from '../../audit/covered.ts'
import { IndexSegments } from '../../audit/index/index-segments.ts'
import { logFolders } from '../../audit/index/log-source.ts'
import { filesOf, indexOf, readManifest } from '../../audit/index/manifest.ts'
import { listSegments } from '../../audit/paths.ts'
import { systemClock } from '../../kernel/clock.ts'
import { askedOf } from '../asked.ts'
import { findDataDir, WHERE_OPTIONS } from '../data-dir.ts'
import { count, counted } from '../demo/table.ts'
import type { Io } from '../io.ts'
import { legible } from '../legible.ts'

const COMMAND = 'modelgate audit index'
const USAGE = `Usage: ${COMMAND} [--rebuild] [--config FILE] [--data DIR] [--json]

  Indexes closed segments that have no index, and checks the index of all others against its checksums: what
  is damaged is made anew. Of the segment that is being written, what is signed is indexed in parts; the rest is
  read whenever the log is asked.

  --rebuild    everything anew
  --config     whose data_dir holds the log (gateway.toml unless told)
  --data       the log’s directory itself; no configuration is read
  --json       what was done, as data
`

export async function indexLog(args: readonly string[], io: Io): Promise<number> {
  const asked = askedOf(() => parse(args), { command: COMMAND, usage: USAGE, io })
  if (typeof asked === 'number') return asked
  const dataDir = await findDataDir(asked, COMMAND, io)
  if (dataDir === undefined) return 3
  try {
    const done = await makeWhole(dataDir, asked.rebuild, io)
    io.stdout(asked.json ? `${JSON.stringify(done, null, 2)}\n` : told(done))
    return 0
  } catch (error) {
    io.progress?.('')
    io.stderr(legible(`${COMMAND}: the index in ${dataDir} cannot be made: ${(error as Error).message}\n`))
    return 3
  }
}

interface Done {
  /** Segments that are indexed now, and of these the ones that were indexed by this and those that were damaged. */
  segments: number
  made: number
  rebuilt: number
  records: number
  bytes: number
}

async function makeWhole(dataDir: string, isAnew: boolean, io: Io): Promise<Done> {
  const done: Done = { segments: 0, made: 0, rebuilt: 0, records: 0, bytes: 0 }
  for (const folder of logFolders(dataDir)) {
    if (isAnew) rmSync(indexOf(folder), { recursive: true, force: true })
    const job = new IndexSegments(folder, systemClock, {
      isOver: folder !== dataDir,
      covered: () => coveredOf(folder),
    })
    const of = listSegments(folder).length
    for (let looked = 1; await job.step(); looked += 1)
      io.progress?.(`segment ${Math.min(looked, of)} of ${of}, ${job.indexed} indexed`)
    io.progress?.('')
    done.made += job.indexed
    done.rebuilt += job.rebuilt
    for (const { first } of listSegments(folder)) {
      const manifest = readManifest(folder, { first })
      if (manifest === null) continue
      done.segments += 1
      done.records += manifest.records
      for (const { table } of filesOf(folder, manifest)) done.bytes += table.bytes
    }
  }
  return done
}

function told({ segments, made, rebuilt, records, bytes }: Done): string {
  const perRecord = records === 0 ? '' : `, ${(bytes / records).toFixed(0)} a record`
  const damaged = rebuilt === 0 ? '' : ` (${rebuilt} of them again: what was there did not fit)`
  return [
    `${counted(segments, 'segment')} indexed, ${made} of them now${damaged}`,
    `${counted(records, 'record')} in ${count(bytes)} bytes${perRecord}`,
    '',
  ].join('\n')
}

interface Asked {
  readonly rebuild: boolean
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
      rebuild: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { rebuild, config, data, json, help } = values
  return { rebuild, config, data, json, help }
}
