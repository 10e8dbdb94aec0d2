/**
 * `modelgate audit report`: what a model did in a stretch of time, why, and what was done about it, with the evidence.
 * Works beside a running gateway and without one; reading the log is itself put on record.
 *
 * Exit 0 a report was made (an empty range makes one, too), 1 the log knows no such model, 2 wrong usage, 3 the log
 * cannot be read or the file not be written.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type Answers, factsOf, lifetimeOf, modelsOf } from '../../audit/report/ask.ts'
import { reportOf } from '../../audit/report/build-report.ts'
import { evidenceOf } from '../../audit/report/evidence.ts'
import type { Range } from '../../audit/report/facts.ts'
import { pageOf } from '../../audit/report/html/page.ts'
import { ASKED_COLUMNS } from '../../audit/report/questions.ts'
import type { Report } from '../../audit/report/report.ts'
import { sectionsOf, subtitleOf, titleOf } from '../../audit/report/sections.ts'
import { counted, minute } from '../../audit/report/words.ts'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { nearestName } from '../../kernel/nearest-name.ts'
import { askedOf } from '../asked.ts'
import { findDataDir, WHERE_OPTIONS } from '../data-dir.ts'
import { paintFor } from '../demo/paint.ts'
import type { Io } from '../io.ts'
import { legible } from '../legible.ts'
import { askLog, putOnRecord } from './log-question.ts'
import { MOMENT_FORMS, momentOf, withJoinedMoments } from './moment.ts'
import { reportText, WIDTH_MAX, WIDTH_MIN } from './report-text.ts'

const COMMAND = 'modelgate audit report'
const USAGE = `Usage: ${COMMAND} --model NAME [--from TIME] [--to TIME] [--format text|html|json] [--out FILE]

  --model      whose report; one model of the configuration
  --from       beginning of the range, included (-7d unless told)
  --to         end of the range, not included (now unless told)
  --format     text (unless told), html: one page that holds all it needs, json: the same as data
  --json       the same as --format json
  --out        the file to write, which must not be there; the terminal unless told
  --no-color   plain text
  --config     whose data_dir holds the log (gateway.toml unless told)
  --data       the log’s directory itself; no configuration is read

  TIME         ${MOMENT_FORMS}
`

export async function report(args: readonly string[], io: Io, clock: Clock = systemClock): Promise<number> {
  const now = clock.wall()
  const asked = askedOf(() => parse(args, now), { command: COMMAND, usage: USAGE, io })
  if (typeof asked === 'number') return asked
  const dataDir = await findDataDir(asked, COMMAND, io)
  if (dataDir === undefined) return 3
  const options = { columns: ASKED_COLUMNS }
  return askLog({ command: COMMAND, dataDir, options }, io, (log) => answer(log, { asked, now, dataDir }, io))
}

interface Question {
  readonly asked: Asked
  readonly now: number
  readonly dataDir: string
}

async function answer(log: Answers, { asked, now, dataDir }: Question, io: Io): Promise<number> {
  const { model, range } = asked
  const facts = await factsOf(log, { model, range, askedAt: now })
  let elsewhere: string | null = null
  if (facts.traffic.length === 0) {
    const { requests, first, last } = await lifetimeOf(log, model)
    const models = requests === 0 ? await modelsOf(log) : [model]
    if (!models.includes(model)) return unknownModel(model, models, io)
    if (first !== null && last !== null) {
      const span = [first, last].map((ms) => minute(new Date(ms).toISOString())).join(' to ')
      elsewhere = `It has ${counted(requests, 'request')} of this model in all, from ${span}.`
    }
  }
  const made = reportOf(facts, evidenceOf(dataDir, facts))
  const question = `model ${model}, ${made.range.from} to ${made.range.to}, as ${asked.format}`
  putOnRecord({ command: COMMAND, dataDir }, { asked: question, records: facts.records }, io)
  return give(rendered(made, elsewhere, { asked, io }), asked.out, io)
}

function unknownModel(model: string, models: readonly string[], io: Io): number {
  const near = nearestName(model, models)
  const hint = near === null ? '' : `; did you mean '${near}'?`
  const known = models.length === 0 ? 'It knows none.' : `It knows ${models.slice(0, 20).join(', ')}.`
  io.stderr(legible(`${COMMAND}: the log knows no model '${model}'${hint} ${known}\n`))
  return 1
}

function rendered(made: Report, elsewhere: string | null, { asked, io }: { asked: Asked; io: Io }): string {
  if (asked.format === 'json') return legible(`${JSON.stringify(made, null, 2)}\n`)
  if (asked.format === 'html') return pageOf(made, sectionsOf(made, elsewhere))
  const safe = legibleStrings(made) as Report
  const width = Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, io.columns ?? 100))
  const paint = paintFor(io.color && asked.color && asked.out === undefined)
  return reportText([titleOf(safe), subtitleOf(safe)], sectionsOf(safe, elsewhere), { width, paint })
}

/** Within a table or a sentence a line feed is no layout either. */
function legibleStrings(value: unknown): unknown {
  if (typeof value === 'string') return legible(value).replaceAll('\n', '\\n')
  if (Array.isArray(value)) return value.map(legibleStrings)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, legibleStrings(one)]))
}

function give(text: string, out: string | undefined, io: Io): number {
  if (out === undefined) {
    io.stdout(text)
    return 0
  }
  try {
    writeFileSync(out, text, { flag: 'wx' })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'EEXIST' ? 'it is there already; remove it, or name another' : message
    io.stderr(`${COMMAND}: ${out} cannot be written: ${why}\n`)
    return 3
  }
  io.stderr(`${COMMAND}: written to ${out}\n`)
  return 0
}

type Format = 'text' | 'html' | 'json'

interface Asked {
  readonly model: string
  readonly range: Range
  readonly format: Format
  readonly out: string | undefined
  readonly color: boolean
  readonly config: string
  readonly data: string | undefined
  readonly help: boolean
}

function parse(args: readonly string[], now: number): Asked | string {
  const { values } = parseArgs({
    args: withJoinedMoments(args, ['--from', '--to']),
    options: {
      ...WHERE_OPTIONS,
      model: { type: 'string' },
      from: { type: 'string' },
      to: { type: 'string', default: 'now' },
      format: { type: 'string' },
      json: { type: 'boolean', default: false },
      out: { type: 'string' },
      'no-color': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { model = '', config, data, out, help, json } = values
  const format = values.format ?? (json ? 'json' : 'text')
  const range = help ? { from: 0, to: 1 } : rangeOf(values.from, values.to, now)
  if (typeof range === 'string') return range
  if (!help && model === '') return '--model is needed: whose report?'
  if (!isFormat(format)) return `--format '${format}' is none of text, html, json`
  return { model, range, format, out, color: !values['no-color'], config, data, help }
}

const WEEK = 7 * 86_400_000

function rangeOf(fromText: string | undefined, toText: string, now: number): Range | string {
  const to = momentOf(toText, now)
  if (typeof to === 'string') return `--to ${to}`
  const from = fromText === undefined ? to - WEEK : momentOf(fromText, now)
  if (typeof from === 'string') return `--from ${from}`
  if (from < to) return { from, to }
  const [first, last] = [from, to].map((ms) => new Date(ms).toISOString())
  return `--from ${first} is not before --to ${last}`
}

function isFormat(text: string): text is Format {
  return text === 'text' || text === 'html' || text === 'json'
}
