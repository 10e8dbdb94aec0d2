/**
 * The report on a terminal: the sections of the document within the width, charts as one line of blocks for each series,
 * with what changed below them. Colour is an extra. Strings have to be legible before they come here.
 */
import type { Block, Chart, Code, Points, Section, Table } from '../../audit/report/document.ts'
import type { Paint } from '../demo/paint.ts'
import { wrap } from '../demo/table.ts'

export interface Sheet {
  /** Columns. */
  readonly width: number
  readonly paint: Paint
}

export const WIDTH_MIN = 72
export const WIDTH_MAX = 140

/** `subtitle`: one line. */
export function reportText(
  title: readonly [string, string],
  sections: readonly Section[],
  sheet: Sheet,
): string {
  const { paint } = sheet
  const parts = sections.map(({ title: name, blocks }) => {
    const lines = blocks.flatMap((block, at) => [
      ...(at === 0 ? [] : spaceBetween(blocks[at - 1]!, block)),
      ...linesOf(block, sheet),
    ])
    return [paint.bold(name.toUpperCase()), '', ...lines].join('\n')
  })
  return `${[`${paint.bold(title[0])}\n${title[1]}`, ...parts].join('\n\n')}\n`
}

/** Sentences follow each other; everything else stands by itself. */
function spaceBetween(before: Block, block: Block): string[] {
  return before.kind === 'words' && block.kind === 'words' ? [] : ['']
}

function linesOf(block: Block, sheet: Sheet): string[] {
  switch (block.kind) {
    case 'words':
      return wrap(block.text, sheet.width)
    case 'points':
      return pointLines(block, sheet)
    case 'table':
      return tableLines(block, sheet)
    case 'chart':
      return chartLines(block, sheet)
    case 'code':
      return [sheet.paint.bold(block.caption), ...codeLines(block)]
  }
}

function codeLines({ lines, isWide = false }: Code): string[] {
  return isWide
    ? ['  is in the page and in the data: --format html, --format json']
    : lines.map((line) => `  ${line}`)
}

function pointLines({ points }: Points, { width, paint }: Sheet): string[] {
  const marks = { bad: paint.bad('!'), notable: paint.warning('·'), good: paint.good('+'), plain: '-' }
  return points.flatMap(({ weight, words, details }) => {
    const [first = '', ...rest] = wrap(words, width - 2)
    const more = details.flatMap((detail) => {
      const [head = '', ...tail] = wrap(detail, width - 6)
      return [`    - ${head}`, ...tail.map((line) => `      ${line}`)]
    })
    return [`${marks[weight]} ${first}`, ...rest.map((line) => `  ${line}`), ...more]
  })
}

const GAP = 2
/** Narrower, a column of words cannot be read. */
const COLUMN_MIN = 14

function tableLines({ caption, columns, rows }: Table, { width, paint }: Sheet): string[] {
  const widths = fitting(
    columns.map(({ title }, at) => Math.max(title.length, ...rows.map((row) => row[at]!.length))),
    columns.map(({ holds }) => holds !== 'words'),
    width,
  )
  const row = (cells: readonly string[]): string[] => {
    const wrapped = cells.map((cell, at) => chopped(cell, widths[at]!))
    const height = Math.max(...wrapped.map((lines) => lines.length))
    return Array.from({ length: height }, (_, line) =>
      wrapped
        .map((lines, at) => {
          const cell = lines[line] ?? ''
          return columns[at]!.holds === 'figures' ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!)
        })
        .join(' '.repeat(GAP))
        .trimEnd(),
    )
  }
  const head = row(columns.map(({ title }) => title)).map((line) => paint.faint(line))
  return [...wrap(caption, width).map(paint.bold), ...head, ...rows.flatMap(row)]
}

/** The widest columns of words give way until all fit. */
function fitting(natural: readonly number[], isFixed: readonly boolean[], width: number): number[] {
  const widths = [...natural]
  const total = () => widths.reduce((sum, one) => sum + one, GAP * (widths.length - 1))
  while (total() > width) {
    let widest = -1
    for (const [at, one] of widths.entries()) {
      if (isFixed[at] || one <= COLUMN_MIN) continue
      if (widest === -1 || one > widths[widest]!) widest = at
    }
    if (widest === -1) break
    widths[widest]! -= 1
  }
  return widths
}

/** Wrapped at blanks; a word that is too long is cut. */
function chopped(text: string, width: number): string[] {
  return wrap(text, width).flatMap((line) => {
    if (line.length <= width) return [line]
    return Array.from({ length: Math.ceil(line.length / width) }, (_, at) =>
      line.slice(at * width, (at + 1) * width),
    )
  })
}

const BLOCKS = '▁▂▃▄▅▆▇█'
const LABEL_MAX = 16

function chartLines(chart: Chart, { width, paint }: Sheet): string[] {
  const { title, form, series, axis, write } = chart
  const values = series.flatMap((one) => one.values.filter((value): value is number => value !== null))
  const [least, most] = [Math.min(0, ...values), Math.max(0, ...values)]
  const room = Math.min(LABEL_MAX, Math.max(15, ...series.map(({ name }) => name.length)))
  const label = (name: string) => (name.length > room ? `${name.slice(0, room - 1)}…` : name).padEnd(room)
  const rows = series.map(({ name, values: own }) => {
    const known = own.filter((value): value is number => value !== null)
    const last =
      known.length === 0 ? 'nothing' : `${write(Math.min(...known))} … ${write(Math.max(...known))}`
    return `  ${label(name)} ${own.map((value) => blockOf(form === 'stack' && value === 0 ? null : value, least, most)).join('')} ${last}`
  })
  const below = [
    ['changes', markLine(chart)],
    ['= breaker x gap', spanLine(chart)],
    ['', dayLine(chart)],
  ] as const
  return [
    paint.bold(title),
    ...rows.map((line) => line.slice(0, Math.max(width, room + axis.slots.length + 3))),
    ...below
      .filter(([, line]) => line.trim() !== '')
      .map(([name, line]) => paint.faint(`  ${label(name)} ${line}`.trimEnd())),
  ]
}

function blockOf(value: number | null, least: number, most: number): string {
  if (value === null) return ' '
  if (most === least) return BLOCKS[0]!
  const level = Math.round(((value - least) / (most - least)) * (BLOCKS.length - 1))
  return BLOCKS[level]!
}

/** Numbers of changes below the slots in which they were; where two would touch, a plus. */
function markLine({ axis }: Chart): string {
  const cells: string[] = axis.slots.map(() => ' ')
  for (const { at, label } of axis.marks) {
    const slot = slotOf(at, axis)
    const place = [...label].map((_, index) => cells[slot + index])
    if (place.some((cell) => cell !== ' ')) cells[slot] = '+'
    else for (const [index, digit] of [...label].entries()) cells[slot + index] = digit
  }
  return cells.join('')
}

/** A breaker that was not closed, and records lost, which may be the same slot. */
function spanLine({ axis }: Chart): string {
  const cells: string[] = axis.slots.map(() => ' ')
  for (const { from, to, isGap } of axis.spans) {
    for (let slot = slotOf(from, axis); slot <= slotOf(Math.max(from, to - 1), axis); slot += 1) {
      cells[slot] = isGap ? 'x' : cells[slot] === 'x' ? 'x' : '='
    }
  }
  return cells.join('')
}

const DAY = 86_400_000

/** `|` where a day of UTC begins, with its date where there is room. */
function dayLine({ axis }: Chart): string {
  const cells: string[] = axis.slots.map(() => ' ')
  let free = 0
  for (const [slot, start] of axis.slots.entries()) {
    if (start % DAY !== 0 || slot < free) continue
    const text = `|${new Date(start).toISOString().slice(5, 10)}`
    if (slot + text.length > cells.length) continue
    for (const [index, character] of [...text].entries()) cells[slot + index] = character
    free = slot + text.length + 1
  }
  return cells.join('')
}

function slotOf(at: number, { slots, slotMs }: Chart['axis']): number {
  return Math.min(slots.length - 1, Math.max(0, Math.floor((at - slots[0]!) / slotMs)))
}
