/**
 * What callers and endpoints sent, on a terminal: characters that would move its cursor, colour it or turn the direction
 * of a line are written as escapes, the way JSON has them (`\u009b`), so JSON stays the same JSON.
 */

/** Controls, invisible formatting (the marks of direction among it), and separators of lines; a line feed is layout. */
const ILLEGIBLE = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

export function legible(text: string): string {
  return text.replace(ILLEGIBLE, (character) =>
    Array.from({ length: character.length }, (_, at) => escapeOf(character.charCodeAt(at))).join(''),
  )
}

function escapeOf(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`
}
