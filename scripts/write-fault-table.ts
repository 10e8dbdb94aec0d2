/**
 * Writes docs/faults.md from the table in src/domain/fault.ts, so that the documentation of what a
 * caller can be told cannot differ from what it is told. test/tidy.test.ts compares the two.
 */
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { FAULTS, type FaultCode, type FaultSource, traitsOf } from '../src/domain/fault.ts'

const SOURCES: readonly { source: FaultSource; title: string; text: string }[] = [
  {
    source: 'client',
    title: 'The caller',
    text: 'The request cannot be served as it is. Nothing was sent to a model and no version is blamed.',
  },
  {
    source: 'gateway',
    title: 'The gateway',
    text: 'The gateway refused or gave up by itself. No version is blamed.',
  },
  {
    source: 'upstream',
    title: 'The version',
    text: 'A version failed. It counts as a failure in the version’s circuit breaker.',
  },
]

const INTRODUCTION = `# Faults

Every expected failure has one code. It is the \`modelgate-error\` response header, the label in the
metrics, the field in the decision record and the word in the log. _Consequence_ names the list in
\`[models.NAME.on_failure]\` that is tried before the caller is told; _repeat_ says when the gateway may
send the request once more by itself.

This page is written by \`npm run docs\` from \`src/domain/fault.ts\`.
`

const REPEAT = {
  never: '–',
  unsent: 'nothing had been sent',
  reused: 'a kept-alive connection was dead',
} as const

export function faultTable(): string {
  return [INTRODUCTION, ...SOURCES.map(section)].join('\n')
}

function section({ source, title, text }: (typeof SOURCES)[number]): string {
  const rows = (Object.keys(FAULTS) as FaultCode[])
    .filter((code) => traitsOf(code).source === source)
    .map((code) => {
      const { status, meaning, consequence, retry } = traitsOf(code)
      return [`\`${code}\``, String(status), meaning, consequence ? `\`${consequence}\`` : '–', REPEAT[retry]]
    })
  return `## ${title}\n\n${text}\n\n${markdownTable(['code', 'status', 'meaning', 'consequence', 'repeat'], rows)}`
}

/** Columns as wide as their widest cell, as the formatter wants them. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)))
  const line = (cells: readonly string[], fill: string) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!, fill)).join(' | ')} |\n`
  return (
    line(head, ' ') +
    line(
      head.map(() => ''),
      '-',
    ) +
    rows.map((row) => line(row, ' ')).join('')
  )
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync('docs/faults.md', faultTable())
}
