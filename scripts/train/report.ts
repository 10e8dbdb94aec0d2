/**
 * The table of versions that stands in models/README.md between two marks. Deterministic, so it holds
 * no timings: how long scoring takes depends on the machine.
 */
import type { BinaryMetrics, ClassMetrics } from './metrics.ts'

export interface VersionReport {
  readonly file: string
  readonly kind: string
  readonly work: string
  readonly sizeBytes: number
  readonly metrics: BinaryMetrics | ClassMetrics
}

const START = '<!-- written by npm run train: start -->'
const END = '<!-- written by npm run train: end -->'

/** `notes`: one line each below the table. */
export function tableOf(reports: readonly VersionReport[], notes: readonly string[]): string {
  const names = [...new Set(reports.flatMap(({ metrics }) => Object.keys(metrics)))]
  const header = ['file', 'kind', 'one row takes', 'KiB', ...names.map(inWords)]
  const rows = reports.map(({ file, kind, work, sizeBytes, metrics }) => {
    const values = new Map<string, number>(Object.entries(metrics))
    const cells = names.map((name) => values.get(name)?.toFixed(4) ?? '–')
    return [`\`${file}\``, kind, work, (sizeBytes / 1024).toFixed(0), ...cells]
  })
  const lines = [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  return [...lines, '', ...notes].join('\n')
}

function inWords(name: string): string {
  return name === 'auc' ? 'AUC' : name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

/** The readme with what stands between the marks replaced. Throws when it lost its marks. */
export function insertTable(readme: string, table: string): string {
  const start = readme.indexOf(START)
  const end = readme.indexOf(END)
  if (start === -1 || end < start) throw new Error(`the readme lacks the marks ${START} … ${END}`)
  return `${readme.slice(0, start + START.length)}\n\n${table}\n\n${readme.slice(end)}`
}
