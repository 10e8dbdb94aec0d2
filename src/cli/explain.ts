/**
 * `modelgate explain <request-id>`: the story of one request from its records, beside a running gateway and
 * without one. It changes nothing, but who asked is itself put on record. Exit 0 found, 1 not in the log, 2 wrong usage, 3 the log cannot be read.
 */
import { parseArgs } from 'node:util'
import { openBodies } from '../audit/capture/open-bodies.ts'
import { findDecision, recordsIn, type Story, withoutSealed } from '../audit/find.ts'
import { leaveAccess } from '../audit/inbox.ts'
import { isRequestId } from '../audit/records/row.ts'
import { askedOf } from './asked.ts'
import { findDataDir, WHERE_OPTIONS } from './data-dir.ts'
import { bodyData, bodyLines } from './explain-capture.ts'
import { tellStory } from './explain-text.ts'
import type { Io } from './io.ts'
import { legible } from './legible.ts'

const USAGE = `Usage: modelgate explain REQUEST-ID [--payload] [--config FILE] [--data DIR] [--json]

  REQUEST-ID   as in the response header modelgate-request-id
  --payload    show the captured bodies, too; only where that can be put on record
  --config     whose data_dir holds the log (gateway.toml unless told)
  --data       the log's directory itself; no configuration is read
  --json       the records as data
`

export async function explain(args: readonly string[], io: Io): Promise<number> {
  const asked = askedOf(() => parse(args), { command: 'modelgate explain', usage: USAGE, io })
  if (typeof asked === 'number') return asked
  const dataDir = await findDataDir(asked, 'modelgate explain', io)
  if (dataDir === undefined) return 3
  let story: Story | null
  try {
    story = await findDecision(dataDir, asked.id)
  } catch (error) {
    io.stderr(`modelgate explain: the log in ${dataDir} cannot be read: ${(error as Error).message}\n`)
    return 3
  }
  const records = story === null ? 0 : recordsIn(story)
  const action = asked.payload ? 'explain --payload' : 'explain'
  const unrecorded = leaveAccess(dataDir, { action, asked: asked.id, records })
  if (unrecorded !== null) io.stderr(`modelgate explain: ${unrecorded}\n`)
  if (story === null) {
    if (asked.json) io.stdout('null\n')
    else io.stderr(`modelgate explain: the log in ${dataDir} knows no request ${asked.id}\n`)
    return 1
  }
  if (!asked.payload) {
    io.stdout(legible(asked.json ? jsonOf(withoutSealed(story)) : tellStory(story)))
    return 0
  }
  // What callers sent is shown to nobody without a trace.
  return unrecorded === null ? showPayload(dataDir, story, asked.json, io) : 3
}

function showPayload(dataDir: string, story: Story, isJson: boolean, io: Io): number {
  try {
    const notes = story.captures.map(({ note }) => note)
    const bodies = openBodies(dataDir, notes)
    const text = isJson
      ? jsonOf({ ...withoutSealed(story), bodies: bodyData(bodies) })
      : `${tellStory(story)}\nBodies\n${bodyLines(bodies)
          .map((line) => `  ${line}\n`)
          .join('')}`
    io.stdout(legible(text))
    return bodies.every(({ state }) => state !== 'damaged') ? 0 : 1
  } catch (error) {
    io.stderr(`modelgate explain: the keys of bodies cannot be read: ${(error as Error).message}\n`)
    return 3
  }
}

function jsonOf(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

interface Asked {
  readonly id: string
  readonly config: string
  readonly data: string | undefined
  readonly payload: boolean
  readonly json: boolean
  readonly help: boolean
}

function parse(args: readonly string[]): Asked | string {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...WHERE_OPTIONS,
      payload: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { config, data, payload, json, help } = values
  const id = (positionals[0] ?? '').toLowerCase()
  if (help) return { id, config, data, payload, json, help }
  if (positionals.length !== 1) return 'exactly one request id is needed'
  if (!isRequestId(id))
    return `'${positionals[0]}' is not a request id: 36 characters like 019aaf00-0000-7000-8000-000000000000`
  return { id, config, data, payload, json, help }
}
