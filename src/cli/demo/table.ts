/**
 * Rows of text as aligned columns, and the few ways in which the demo writes numbers. A column of numbers
 * is aligned to the right. Cells are plain text: colour is put on whole lines afterwards, or the widths lie.
 */
export interface Column {
  readonly title: string
  readonly align: 'left' | 'right'
}

export const left = (title: string): Column => ({ title, align: 'left' })
export const right = (title: string): Column => ({ title, align: 'right' })

const GAP = '  '

/** The head, then one line for each row; no trailing blanks. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title }, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, column) => {
        const cell = cells[column] ?? ''
        return align === 'left' ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
      })
      .join(GAP)
      .trimEnd()
  return [line(columns.map(({ title }) => title)), ...rows.map(line)]
}

/** `6,000` */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** `1 caller`, `6,000 callers` */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`
}

/** `41.3 %`; a dash when there is nothing to divide by. */
export function share(part: number, whole: number): string {
  return whole === 0 ? '–' : `${((100 * part) / whole).toFixed(1)} %`
}

/** Milliseconds with three significant digits. */
export function milliseconds(value: number): string {
  if (value >= 100) return value.toFixed(0)
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** A number stays with its unit. */
const BEFORE_UNIT = /(\d) (?=(?:ms|s|µs|%)(?![\w%]))/g
const UNBROKEN = '\u00a0'

/** Breaks text at blanks; what follows the first line is indented. */
export function wrap(text: string, width: number, indent = ''): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.replace(BEFORE_UNIT, `$1${UNBROKEN}`).split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = `${indent}${word}`
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].map((one) => one.replaceAll(UNBROKEN, ' '))
}
