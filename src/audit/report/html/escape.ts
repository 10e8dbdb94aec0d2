/**
 * Text from anywhere as text of a page. What callers, endpoints and operators wrote can hold anything; nothing of it
 * may become markup, end an attribute, or turn the direction of a line. Every string of a page goes through here.
 */
const ENTITIES = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
  ['`', '&#96;'],
])

/** Markup, controls, invisible formatting (the marks of direction among it), separators of lines, halves of characters. */
const SPECIAL = /[&<>"'`]|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** For text and for attributes in quotes. What cannot be seen is written as an escape, as JSON has it. */
export function escaped(text: string): string {
  return text.replace(SPECIAL, (character) => ENTITIES.get(character) ?? visible(character))
}

function visible(character: string): string {
  return Array.from({ length: character.length }, (_, at) => {
    return `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`
  }).join('')
}
