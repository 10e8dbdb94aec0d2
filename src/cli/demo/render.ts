/** The report for people: tables of at most 100 columns, words beside every number, colour only as an extra. */
import { tellStory } from '../explain-text.ts'
import type { Paint } from './paint.ts'
import type { DemoReport, LogReport, ModelReport, VersionRow } from './report.ts'
import { count, counted, left, milliseconds, right, share, tableLines, wrap } from './table.ts'

const WIDTH = 96

export function renderReport(report: DemoReport, paint: Paint, where: readonly string[]): string {
  const sections: (readonly [title: string, lines: readonly string[]])[] = [
    ['What callers saw', callerLines(report)],
    ...report.models.map((model) => [`Model ${model.model}`, modelLines(model)] as const),
    ['What the breakers did', breakerLines(report)],
    ['Declared consequences', consequenceLines(report)],
    ['Shadows', shadowLines(report)],
    ['Against the truth', qualityLines(report)],
    ['The log', logLines(report.log)],
    ['One decision in full', exampleLines(report)],
    ['What must hold', checkLines(report, paint)],
    ['Where to look next', where],
  ]
  const blocks = sections.map(([title, lines]) =>
    [paint.bold(title), ...lines.map((line) => (line === '' ? '' : `  ${line}`))].join('\n'),
  )
  return `\n${blocks.join('\n\n')}\n\n${verdictOf(report, paint)}\n`
}

function callerLines({ callers, requests, seconds }: DemoReport): string[] {
  const { statuses, ok, degraded, failed, p50_ms, p99_ms, p99_9_ms } = callers
  const told = Object.entries(statuses).map(([status, times]) => `${count(times)} × ${status}`)
  return [
    `${counted(requests, 'request')} in ${seconds.toFixed(1)} s: ${told.join(', ')}`,
    `${count(ok)} from the version chosen, ${count(degraded)} degraded (another version in its place), ${count(failed)} failed`,
    `by their own clocks: p50 ${milliseconds(p50_ms)} ms, p99 ${milliseconds(p99_ms)} ms, p99.9 ${milliseconds(p99_9_ms)} ms`,
  ]
}

const MODEL_COLUMNS = [
  left('version'),
  left('role'),
  left('why'),
  right('answered'),
  right('share'),
  right('p50 ms'),
  right('p99'),
  right('p99.9'),
  right('failed'),
  right('refused'),
]

function modelLines({ requests, rows }: ModelReport): string[] {
  const lines = tableLines(
    MODEL_COLUMNS,
    rows.map((row) => cellsOf(row, requests)),
  )
  return [...lines, `${counted(requests, 'request')}. Refused: its breaker was open, so it was not asked.`]
}

function cellsOf(row: VersionRow, requests: number): string[] {
  const { version, role, reasons, attempts, answered, failures, refused, durations } = row
  const isShadow = role === 'shadow'
  const why = Object.entries(reasons).map(([reason, times]) => `${reason} ${count(times)}`)
  return [
    version,
    role,
    isShadow ? counted(attempts, 'copy').replace('copys', 'copies') : why.join(', '),
    isShadow ? '–' : count(answered),
    isShadow ? '–' : share(answered, requests),
    ...(durations === null
      ? ['–', '–', '–']
      : [durations.p50_ms, durations.p99_ms, durations.p99_9_ms].map(milliseconds)),
    count(failures),
    count(refused),
  ]
}

function breakerLines({ breakers }: DemoReport): string[] {
  if (breakers.length === 0) return ['nothing: all stayed closed']
  return breakers.flatMap(({ at, model, version, from, to, why }) =>
    wrap(`${at.slice(11, 23)}  ${model}/${version} ${from} → ${to}: ${why}`, WIDTH, ' '.repeat(14)),
  )
}

function consequenceLines({ consequences }: DemoReport): string[] {
  if (consequences.length === 0) return ['none was needed']
  return tableLines(
    [left('model'), left('because of'), left('callers got'), right('callers')],
    consequences.map(({ model, because, consequence, requests }) => [
      model,
      because,
      consequence,
      count(requests),
    ]),
  )
}

function shadowLines({ shadows }: DemoReport): string[] {
  if (shadows.length === 0) return ['no copy was sent']
  const columns = [left('version'), right('copies'), right('answered'), right('compared'), right('agree')]
  return tableLines(
    [...columns, left('95 % interval')],
    shadows.map(({ model, version, copies, answered, compared, agree, from, to }) => [
      `${model}/${version}`,
      ...[copies, answered, compared].map(count),
      share(agree, compared),
      compared === 0 ? '–' : `${percent(from)} to ${percent(to)}`,
    ]),
  )
}

function qualityLines({ quality, baselines }: DemoReport): string[] {
  const rows = quality.map(({ model, version, rows, accuracy, from, to, logLoss }) => [
    `${model}/${version}`,
    count(rows),
    percent(accuracy),
    `${percent(from)} to ${percent(to)}`,
    logLoss.toFixed(4),
  ])
  const columns = [
    left('version'),
    right('rows'),
    right('accuracy'),
    left('95 % interval'),
    right('log loss'),
  ]
  const always = baselines.map(
    ({ model, label, accuracy }) => `${model} ${percent(accuracy)} (always ${label})`,
  )
  return [
    ...tableLines(columns, rows),
    'Each version on the rows it answered, which differ. Log loss in nats, lower is better.',
    `Always the commonest answer would be right: ${always.join(', ')}.`,
  ]
}

function logLines(log: LogReport): string[] {
  const { decisions, shadows, others, sequenced, lost, verifiedRecords, verifiedSegments } = log
  const total = decisions + shadows + others
  return [
    `written    ${counted(total, 'record')}: ${count(decisions)} decisions, ${count(shadows)} shadow outcomes, ${count(others)} others`,
    `sequenced  ${count(sequenced)}, lost ${count(lost)}`,
    `verified   ${counted(verifiedRecords, 'record')} in ${counted(verifiedSegments, 'segment')}, every checksum and every sequence: ${log.isWhole ? 'whole' : log.firstBad}`,
    `in         ${log.dataDir}`,
  ]
}

function exampleLines({ example }: DemoReport): string[] {
  if (example === null) return ['there is none']
  return tellStory(example)
    .trimEnd()
    .split('\n')
    .flatMap((line) => wrapIndented(line, WIDTH))
}

function wrapIndented(line: string, width: number): string[] {
  const margin = /^ */.exec(line)![0]
  return wrap(line.trimStart(), width - margin.length, '    ').map((part) => `${margin}${part}`)
}

function checkLines({ checks }: DemoReport, paint: Paint): string[] {
  return checks.flatMap(({ claim, ok, detail }) => {
    const mark = ok ? 'yes' : 'NO '
    const [first = '', ...more] = wrap(`${claim}: ${detail}`, WIDTH - 5)
    return [`${ok ? paint.good(mark) : paint.bad(mark)}  ${first}`, ...more.map((line) => `     ${line}`)]
  })
}

function verdictOf({ passed, checks }: DemoReport, paint: Paint): string {
  if (passed) return paint.good('All of it held.')
  const broken = checks.filter(({ ok }) => !ok)
  return paint.bad(
    `${broken.length} of ${checks.length} did not hold: ${broken.map(({ claim }) => claim).join('; ')}`,
  )
}

function percent(portion: number): string {
  return `${(100 * portion).toFixed(1)} %`
}
