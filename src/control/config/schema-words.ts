/**
 * Values that more than one table of the grammar has: names, JSON pointers, header names, PEM files.
 */
import * as leaf from './leaf.ts'
import { NAME, parseFilePath, parseHeaderName, parsePointer } from './words.ts'

const NAME_EXPECTED = 'letters, digits, . _ and -, beginning with a letter or digit, at most 64 characters'

export const name = (what: string, description: string) =>
  leaf.pattern(NAME, what, `${what}: ${NAME_EXPECTED}`, description).meta({ standIn: 'x' })
export const versionName = (description: string) => name('a version name', description)
export const pointer = (description: string) =>
  leaf.parsed(parsePointer, {
    what: 'a JSON pointer',
    expected: 'a JSON pointer (RFC 6901) such as "/outputs/0/data/0"',
    description,
    standIn: '',
  })
export const header = (description: string) =>
  leaf.parsed(parseHeaderName, {
    what: 'a header name',
    expected: 'the name of a request header, such as "x-tenant"',
    description,
    standIn: 'x',
  })
export const pemFile = (description: string) =>
  leaf.parsed(parseFilePath, {
    what: 'a path',
    expected: 'the path of a PEM file, relative to this configuration',
    description,
  })
