/**
 * The report as a document: sections of words, tables and charts, the same for a terminal and for a page. Strings are
 * as the log has them, whoever wrote them there: making them harmless is the duty of whoever shows them.
 */

export interface Section {
  /** A word for links. */
  readonly id: string
  readonly title: string
  readonly blocks: readonly Block[]
}

export type Block = Words | Points | Table | Chart | Code

/** A paragraph. */
export interface Words {
  readonly kind: 'words'
  readonly text: string
}

export interface Points {
  readonly kind: 'points'
  readonly points: readonly {
    readonly weight: 'bad' | 'notable' | 'good' | 'plain'
    readonly words: string
    readonly details: readonly string[]
  }[]
}

export interface Table {
  readonly kind: 'table'
  /** What the rows are: a caption. */
  readonly caption: string
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly string[])[]
}

export interface Column {
  readonly title: string
  /** `words` may be broken into lines; a moment or a figure is not, and figures stand to the right. */
  readonly holds: 'words' | 'moments' | 'figures'
}

/** Lines to be copied. */
export interface Code {
  readonly kind: 'code'
  readonly caption: string
  /** Its lines must not be broken, and are longer than a terminal is wide. */
  readonly isWide?: boolean
  readonly lines: readonly string[]
}

export interface Chart {
  readonly kind: 'chart'
  /** `stack`: parts of a whole, one on the other. `line`: each by itself; null: nothing at that time. */
  readonly form: 'stack' | 'line'
  readonly title: string
  /** What is to be seen, for those who do not see it. */
  readonly description: string
  readonly axis: TimeAxis
  readonly series: readonly Series[]
  /** How a value is written. */
  write(value: number): string
}

export interface Series {
  readonly name: string
  readonly values: readonly (number | null)[]
  /** What went wrong: drawn as such. */
  readonly isTrouble?: boolean
}

/** Times are Unix ms. */
export interface TimeAxis {
  readonly from: number
  readonly to: number
  readonly slotMs: number
  readonly slots: readonly number[]
  /** Changes, by their number. */
  readonly marks: readonly { readonly at: number; readonly label: string; readonly words: string }[]
  /** Stretches of time in which something was the matter. */
  readonly spans: readonly Span[]
}

export interface Span {
  readonly from: number
  readonly to: number
  readonly label: string
  readonly isGap: boolean
}

export const column = (title: string): Column => ({ title, holds: 'words' })
export const moment = (title: string): Column => ({ title, holds: 'moments' })
export const figure = (title: string): Column => ({ title, holds: 'figures' })
export const words = (text: string): Words => ({ kind: 'words', text })

/** Nothing where there are no rows. */
export function table(caption: string, columns: Table['columns'], rows: Table['rows']): Table[] {
  return rows.length === 0 ? [] : [{ kind: 'table', caption, columns, rows }]
}
