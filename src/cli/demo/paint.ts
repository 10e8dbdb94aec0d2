/** Colours of the demo's text. Every word reads the same without them. */
export interface Paint {
  good(text: string): string
  bad(text: string): string
  warning(text: string): string
  bold(text: string): string
  faint(text: string): string
}

const plain = (text: string): string => text
const ansi =
  (code: string) =>
  (text: string): string =>
    `\u001b[${code}m${text}\u001b[0m`

const PLAIN: Paint = { good: plain, bad: plain, warning: plain, bold: plain, faint: plain }
const COLORED: Paint = {
  good: ansi('32'),
  bad: ansi('1;31'),
  warning: ansi('33'),
  bold: ansi('1'),
  faint: ansi('2'),
}

export function paintFor(color: boolean): Paint {
  return color ? COLORED : PLAIN
}
