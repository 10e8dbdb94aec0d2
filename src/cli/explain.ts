/**
 * `modelgate explain <request-id>`: the story of one request from its records, beside a running gateway and
 * without one. It changes nothing, but who asked is itself put on record. Exit 0 found, 1 not in the log, 2 wrong usage, 3 the log cannot be read.
 */
import { parseArgs } from 'node:util'
import { findDecision, recordsIn, type Story } from '../audit/find.ts'
import { leaveAccess } from '../audit/inbox.ts'
import { isRequestId } from '../audit/records/row.ts'
import { findDataDir, WHERE_OPTIONS } from './data-dir.ts'
import { tellStory } from './explain-text.ts'
import type { Io } from './io.ts'
import { legible } from './legible.ts'

const USAGE = `Usage: modelgate explain REQUEST-ID [--config FILE] [--data DIR] [--json]

  REQUEST-ID   as in the response header modelgate-request-id
  --config     whose data_dir holds the log (gateway.toml unless told)
  --data       the log's directory itself; no configuration is read
  --json       the records as data
`

export async function explain(args: readonly string[], io: Io): Promise<number> {
  const asked = parse(args)
  if (typeof asked === 'string') {
    io.stderr(`modelgate explain: ${asked}\n\n${USAGE}`)
    return 2
  }
  if (asked.help) {
    io.stdout(USAGE)
    return 0
  }
  const dataDir = findDataDir(asked, 'modelgate explain', io)
  if (dataDir === undefined) return 3
  let story: Story | null
  try {
    story = await findDecision(dataDir, asked.id)
  } catch (error) {
    io.stderr(`modelgate explain: the log in ${dataDir} cannot be read: ${(error as Error).message}\n`)
    return 3
  }
  const records = story === null ? 0 : recordsIn(story)
  const unrecorded = leaveAccess(dataDir, { action: 'explain', asked: asked.id, records })
  if (unrecorded !== null) io.stderr(`modelgate explain: ${unrecorded}\n`)
  if (story === null) {
    if (asked.json) io.stdout('null\n')
    else io.stderr(`modelgate explain: the log in ${dataDir} knows no request ${asked.id}\n`)
    return 1
  }
  io.stdout(legible(asked.json ? `${JSON.stringify(story, null, 2)}\n` : tellStory(story)))
  return 0
}

interface Asked {
  readonly id: string
  readonly config: string
  readonly data: string | undefined
  readonly json: boolean
  readonly help: boolean
}

function parse(args: readonly string[]): Asked | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...WHERE_OPTIONS,
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const { config, data, json, help } = values
    const id = (positionals[0] ?? '').toLowerCase()
    if (help) return { id, config, data, json, help }
    if (positionals.length !== 1) return 'exactly one request id is needed'
    if (!isRequestId(id))
      return `'${positionals[0]}' is not a request id: 36 characters like 019aaf00-0000-7000-8000-000000000000`
    return { id, config, data, json, help }
  } catch (error) {
    return (error as Error).message
  }
}
