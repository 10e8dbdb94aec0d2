/**
 * Writes what derives from the configuration's schema: config/gateway.schema.json and the table of keys
 * in config/README.md. Run it (`npm run schema`) after every change of the grammar; a test compares.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { jsonSchema, keyTable } from '../src/control/config/document.ts'

const BEGIN = '<!-- keys: written by `npm run schema` -->'
const END = '<!-- end of keys -->'

export function schemaText(): string {
  return `${JSON.stringify(jsonSchema(), null, 2)}\n`
}

/** The README with the table between its two marks replaced. */
export function readmeText(current: string): string {
  const [begin, end] = [current.indexOf(BEGIN), current.indexOf(END)]
  if (begin === -1 || end < begin) throw new Error(`config/README.md has lost its marks: ${BEGIN} … ${END}`)
  return `${current.slice(0, begin + BEGIN.length)}\n\n${keyTable()}\n\n${current.slice(end)}`
}

function write(): void {
  const readme = resolve('config/README.md')
  writeFileSync(resolve('config/gateway.schema.json'), schemaText())
  writeFileSync(readme, readmeText(readFileSync(readme, 'utf8')))
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) write()
