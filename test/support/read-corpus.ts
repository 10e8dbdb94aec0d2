/**
 * Reads the entries of test/corpus that are bytes with an expectation. Each begins with `=== its name`, goes on with
 * `key: value` lines, and has its bytes after `---`, where line ends of the file count for nothing. What the escapes
 * mean is said in the README beside the entries.
 */
import { Buffer } from 'node:buffer'
import { existsSync, readFileSync } from 'node:fs'

export interface CorpusEntry {
  readonly name: string
  readonly keys: ReadonlyMap<string, string>
  readonly bytes: Buffer
}

/** `file`: inside test/corpus. */
export function readCorpus(file: string): CorpusEntry[] {
  return readFileSync(corpusUrl(file), 'utf8')
    .split(/^=== /m)
    .slice(1)
    .map((entry) => {
      const separator = entry.indexOf('\n---\n')
      const [name = '', ...lines] = entry.slice(0, separator).split('\n')
      const keys = new Map(lines.map((line) => [line.split(': ')[0]!, line.slice(line.indexOf(': ') + 2)]))
      return { name, keys, bytes: bytesOf(entry.slice(separator + 5).replaceAll('\n', '')) }
    })
}

/** Compiled tests run from another folder; the corpus stays with the sources. */
function corpusUrl(file: string): URL {
  for (let up = '../'; up.length < 60; up += '../') {
    const url = new URL(`${up}test/corpus/${file}`, import.meta.url)
    if (existsSync(url)) return url
  }
  throw new Error(`no test/corpus/${file} above ${import.meta.url}`)
}

const PLAIN: Record<string, string> = { r: '\r', n: '\n', t: '\t', 0: '\0', '\\': '\\' }

export function bytesOf(text: string): Buffer {
  const decoded = text
    .replaceAll(/\{(\d+)\*(.)\}/g, (_, count: string, char: string) => char.repeat(Number(count)))
    .replace(/\\(?:x([0-9a-f]{2})|([rnt0\\]))/g, (_, hex?: string, plain?: string) =>
      hex === undefined ? PLAIN[plain!]! : String.fromCharCode(Number.parseInt(hex, 16)),
    )
  return Buffer.from(decoded, 'latin1')
}
