/**
 * Where the log is that a command asks: `--data DIR`, or the data_dir of the configuration. What reads a configuration
 * is loaded only for the second: it takes 15 MB and longer than many a command.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Io } from './io.ts'

export interface WhereAsked {
  readonly config: string
  readonly data: string | undefined
}

/** For `parseArgs`. */
export const WHERE_OPTIONS = {
  config: { type: 'string', default: 'gateway.toml' },
  data: { type: 'string' },
} as const

/** Undefined when there is none; the reason was told. `command` as the user typed it: `modelgate explain`. */
export async function findDataDir(
  { config, data }: WhereAsked,
  command: string,
  io: Io,
): Promise<string | undefined> {
  const dataDir = data === undefined ? await dataDirOf(config, command, io) : resolve(data)
  if (dataDir === undefined) return undefined
  if (existsSync(dataDir)) return dataDir
  io.stderr(`${command}: there is no log at ${dataDir}\n`)
  return undefined
}

async function dataDirOf(file: string, command: string, io: Io): Promise<string | undefined> {
  const { loadConfig } = await import('../control/config/load.ts')
  const loaded = loadConfig(file, { generation: 1, cores: 1 })
  if (loaded.ok) return loaded.snapshot.server.dataDir
  const why = loaded.problems[0]?.message ?? 'it is not valid'
  io.stderr(`${command}: ${file} cannot tell where the log is (${why}); --data DIR does\n`)
  return undefined
}
