/** Outcomes as a Markdown table: a row for each strategy, by profile; the profile is named once. */
import type { Outcome } from './simulation.ts'

const HEAD = [
  'profile',
  'strategy',
  'p50',
  'p99',
  'p99.9',
  'without a good answer',
  'to the first endpoint',
  'extra load',
]

export function tableOf(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map((outcome, index) => [
    outcome.profile === outcomes[index - 1]?.profile ? '' : outcome.profile,
    outcome.strategy,
    msOf(outcome.p50Ms),
    msOf(outcome.p99Ms),
    msOf(outcome.p999Ms),
    percentOf(outcome.errors, 2),
    percentOf(outcome.firstShare, 1),
    percentOf(outcome.extraLoad, 2),
  ])
  const widths = HEAD.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]!.length)),
  )
  const isText = (column: number): boolean => column < 2
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join(' | ')} |`
  const rule = widths.map((width, column) =>
    isText(column) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  )
  return [line(HEAD), line(rule), ...rows.map(line)].join('\n')
}

/** A request without a good answer has waited for ever. */
function msOf(ms: number): string {
  return Number.isFinite(ms) ? `${ms.toFixed(ms < 100 ? 1 : 0)} ms` : 'never'
}

function percentOf(share: number, digits: number): string {
  return `${(100 * share).toFixed(digits)} %`
}
