/**
 * The only part of this folder that touches files: reads gateway.toml and what it names, synchronously,
 * at start and on reload, never while a request waits for it.
 */
import { closeSync, constants, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Snapshot } from '../../domain/routes.ts'
import { systemClock } from '../../kernel/clock.ts'
import { checkConfig } from './check-config.ts'
import type { FileContents } from './files.ts'
import type { Problem } from './problem.ts'
import { sizeText } from './units.ts'

export const CONFIG_BYTES_MAX = 16 * 1024 * 1024

export interface LoadOptions {
  readonly generation: number
  readonly cores: number
}

export type LoadResult =
  | {
      readonly ok: true
      readonly snapshot: Snapshot
      readonly warnings: readonly Problem[]
      readonly text: string
    }
  /** `text` is null when the file itself could not be read. */
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly text: string | null }

/** `file` relative to the working directory, and named in messages as given. */
export function loadConfig(file: string, options: LoadOptions): LoadResult {
  const absolute = resolve(file)
  const contents = readFile(absolute, CONFIG_BYTES_MAX)
  if (!contents.ok)
    return {
      ok: false,
      text: null,
      problems: [whole(file, `cannot read the file: ${contents.reason}`, 'a readable gateway.toml')],
    }
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(contents.bytes)
  const damaged = firstInvalidLine(contents.bytes, text)
  if (damaged !== null) {
    const problem = whole(file, 'the file is not valid UTF-8', 'text in UTF-8')
    return { ok: false, text, problems: [{ ...problem, line: damaged.line, column: damaged.column }] }
  }
  const directory = dirname(absolute)
  const now = systemClock.wall()
  const result = checkConfig(text, { ...options, file, directory, now, readFile, fileExists: existsSync })
  return { ...result, text }
}

function whole(file: string, message: string, expected: string): Problem {
  return { severity: 'error', file, line: 1, column: 1, length: 1, path: '', message, expected }
}

/** Where the bytes stop being UTF-8; null when they all are. */
function firstInvalidLine(bytes: Uint8Array, text: string): { line: number; column: number } | null {
  if (Buffer.from(text).equals(bytes)) return null
  const before = text.slice(0, text.indexOf('\uFFFD')).split('\n')
  return { line: before.length, column: before[before.length - 1]!.length + 1 }
}

/** Regular files only, and never more than `bytesMax`. */
export function readFile(path: string, bytesMax: number): FileContents {
  let descriptor: number | undefined
  try {
    // Without O_NONBLOCK a named pipe would hold the process until somebody writes to it.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = fstatSync(descriptor)
    if (!stat.isFile()) return { ok: false, reason: 'it is not a file' }
    if (stat.size > bytesMax) return { ok: false, reason: `it is larger than ${sizeText(bytesMax)}` }
    const bytes = new Uint8Array(stat.size)
    let length = 0
    while (length < bytes.length) {
      const count = readSync(descriptor, bytes, length, bytes.length - length, null)
      if (count === 0) break
      length += count
    }
    return { ok: true, bytes: bytes.subarray(0, length) }
  } catch (error) {
    return { ok: false, reason: reasonOf(error) }
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'no such file'],
  ['EACCES', 'permission denied'],
  ['EISDIR', 'it is a directory'],
  ['ENOTDIR', 'a part of its path is not a directory'],
])

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  return REASONS.get(code) ?? (code === '' ? String(error) : code)
}
