/** Results for a terminal: columns of plain text. */
import type { Estimate } from './statistics.ts'
import type { FreshSummary, PartSummary, PointSummary, Summary } from './summary.ts'
import type { Change, Judged } from './verdict.ts'

function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, text] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, text.length)
  }
  return rows
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function estimateText({ median, low, high }: Estimate): string {
  return `${short(median)} (${short(low)}–${short(high)})`
}

function short(value: number): string {
  if (value >= 1000) return value.toFixed(0)
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

export function summaryTable(summary: Summary): string {
  return summary.kind === 'fresh' ? freshTable(summary) : pointTable(summary)
}

function freshTable({ work, unit, blocks, values, pairs }: FreshSummary): string {
  const rows = Object.entries(values).map(([name, value]) => [`  ${name}`, estimateText(value)])
  const ratios = pairs.map(({ held, against, value }) => [`  ${held} ÷ ${against}`, estimateText(value)])
  return [`\n${work}  (${blocks} fresh starts each)`, table([['', unit], ...rows, ...ratios])].join('\n')
}

function pointTable(summary: PointSummary): string {
  const { work, point, unit, parts, pairs, blocks, setAside, isDisturbed } = summary
  const mark = isDisturbed ? '; the machine was disturbed: nothing is proved by this' : ''
  const head = `\n${work}: ${point}  (${blocks} blocks, ${setAside} set aside${mark})`
  const titles = ['', `CPU µs/${unit}`, 'lane', `${unit}s/s`, 'busy', ...timeTitles(summary), 'lag p99']
  const rows = Object.entries(parts).map(([name, part]) => [
    `  ${name}`,
    estimateText(part.cpu),
    short(part.busiestThread.median),
    short(part.perSecond) + (part.isBehind ? ' (behind)' : ''),
    part.busy.toFixed(2),
    ...timesOf(part),
    short(part.lagP99),
  ])
  const ratios = pairs.map(({ held, against, cpu, perSecond, p99 }) => [
    `  ${held} ÷ ${against}`,
    `CPU ${estimateText(cpu)}`,
    `per second ${estimateText(perSecond)}`,
    p99 === undefined ? '' : `p99 ${estimateText(p99)}`,
  ])
  return [head, table([titles, ...rows]), table(ratios)].join('\n')
}

function timeTitles({ parts }: PointSummary): string[] {
  const isStream = Object.values(parts).some(({ eventDelay }) => eventDelay !== undefined)
  return isStream
    ? ['first p50 µs', 'first p99', 'delay p50', 'delay p99', 'stretch p99']
    : ['p50 µs', 'p99 µs', 'p99.9']
}

function timesOf({ latency, firstEvent, eventDelay, eventStretch }: PartSummary): string[] {
  if (firstEvent === undefined || eventDelay === undefined || eventStretch === undefined) {
    return [latency.p50, latency.p99, latency.p999].map(short)
  }
  return [firstEvent.p50, firstEvent.p99, eventDelay.p50, eventDelay.p99, eventStretch.p99].map(short)
}

export function verdictTable(judged: readonly Judged[]): string {
  return table([
    ['must reach', 'limit', 'measured', 'verdict'],
    ...judged.map(({ what, limit, measured, verdict }) => [what, limit, measured, verdict]),
  ])
}

export function changeTable(changes: readonly Change[]): string {
  return table([
    ['against the baseline', 'CPU was', 'is', 'verdict'],
    ...changes.map(({ work, point, pair, was, is, verdict }) => [
      `${work}, ${point}: ${pair}`,
      was,
      is,
      verdict,
    ]),
  ])
}
