/**
 * `modelgate audit prune --dry-run`: tells what retention would delete now. The gateway itself deletes; this only looks.
 * Exit 0 told, also when nothing would go; 1 the log is held; 2 wrong usage; 3 could not look.
 */
import { parseArgs } from 'node:util'
import { systemDisk } from '../../audit/disk.ts'
import { holdOf } from '../../audit/hold.ts'
import { leaveAccess } from '../../audit/inbox.ts'
import { type PrunePlan, planPrune } from '../../audit/keeper/plan-prune.ts'
import { loadConfig } from '../../control/config/load.ts'
import { DURATION, durationMs } from '../../control/config/units.ts'
import { systemClock } from '../../kernel/clock.ts'
import { askedOf } from '../asked.ts'
import { findDataDir, WHERE_OPTIONS } from '../data-dir.ts'
import { timeOf } from '../explain-words.ts'
import type { Io } from '../io.ts'
import { legible } from '../legible.ts'

const USAGE = `Usage: modelgate audit prune --dry-run [--older-than TIME] [--config FILE] [--data DIR] [--json]

  --dry-run      tell what would be deleted; a running gateway deletes by itself what audit.retention says
  --older-than   such as "400d"; audit.retention of the configuration unless told
  --config       whose data_dir holds the log (gateway.toml unless told)
  --data         the log's directory itself; then --older-than is needed
  --json         as data
`

export async function prune(args: readonly string[], io: Io): Promise<number> {
  const asked = askedOf(() => parse(args), { command: 'modelgate audit prune', usage: USAGE, io })
  if (typeof asked === 'number') return asked
  const dataDir = await findDataDir(asked, 'modelgate audit prune', io)
  if (dataDir === undefined) return 3
  const ageMs = asked.ageMs ?? retentionOf(asked.config)
  if (ageMs === null) {
    io.stdout(asked.json ? 'null\n' : 'audit.retention is not set: nothing is ever deleted.\n')
    return 0
  }
  try {
    const plan = planPrune(dataDir, systemDisk, systemClock.wall() - ageMs)
    const unrecorded = leaveAccess(dataDir, { action: 'audit prune --dry-run', asked: '', records: 0 })
    if (unrecorded !== null) io.stderr(`modelgate audit prune: ${unrecorded}\n`)
    const hold = holdOf(dataDir)
    if (asked.json) io.stdout(`${JSON.stringify({ isHeld: hold !== null, ...dataOf(plan) }, null, 2)}\n`)
    else
      io.stdout(
        legible(`${wordsOf(plan)}${hold === null ? '' : ' But the log is held: nothing is deleted.'}\n`),
      )
    return hold === null ? 0 : 1
  } catch (error) {
    io.stderr(`modelgate audit prune: ${(error as Error).message}\n`)
    return 3
  }
}

function dataOf(plan: PrunePlan | null): object {
  if (plan === null) return { records: 0, segments: [], through: null, endedAt: null }
  const { records, segments, through, endedAt } = plan
  return { records, segments: segments.map(({ file }) => file), through, endedAt }
}

function wordsOf(plan: PrunePlan | null): string {
  if (plan === null) return 'Nothing is old enough.'
  const { records, segments, through, endedAt } = plan
  const files = `${segments.length} ${segments.length === 1 ? 'segment' : 'segments'}`
  return `${records} records in ${files} would go, all older than ${timeOf(endedAt)}; record ${through} would be the first.`
}

function retentionOf(config: string): number | null {
  const loaded = loadConfig(config, { generation: 1, cores: 1 })
  return loaded.ok ? loaded.snapshot.audit.retentionMs : null
}

interface Asked {
  readonly ageMs: number | null
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
      'dry-run': { type: 'boolean', default: false },
      'older-than': { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { config, data, json, help, 'older-than': age } = values
  if (!help && !values['dry-run']) return '--dry-run is needed: only the gateway itself deletes'
  if (age !== undefined && !DURATION.test(age)) return `'${age}' is no time such as 400d`
  if (!help && age === undefined && data !== undefined) return '--data needs --older-than'
  return { ageMs: age === undefined ? null : durationMs(age), config, data, json, help }
}
