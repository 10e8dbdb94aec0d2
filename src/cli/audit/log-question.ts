/**
 * What `audit query`, `list` and `export` have in common: the log is opened, what goes wrong is told in one way, long
 * reading is seen on a terminal, and having read is itself put on record.
 */
import { leaveAccess } from '../../audit/inbox.ts'
import { type Analysis, type AnalysisOptions, openAnalysis } from '../../audit/index/analysis.ts'
import { QueryRefused } from '../../audit/index/engine.ts'
import type { Io } from '../io.ts'
import { legible } from '../legible.ts'

export interface LogQuestion {
  /** As the user typed it: `modelgate audit list`. */
  readonly command: string
  readonly dataDir: string
  readonly options?: AnalysisOptions
}

/** Records that were read because no index has them, from which on it is said how to keep that work. */
const READ_TOLD = 200_000

/** The exit code of `use`; 2 when its SQL was refused, 3 when the log cannot be read. */
export async function askLog(
  { command, dataDir, options = {} }: LogQuestion,
  io: Io,
  use: (analysis: Analysis) => Promise<number>,
): Promise<number> {
  try {
    const analysis = await openAnalysis(dataDir, {
      ...options,
      onRead: (done, of) => io.progress?.(`reading what is not indexed: segment ${done} of ${of}`),
    })
    io.progress?.('')
    try {
      if (analysis.recordsRead >= READ_TOLD)
        io.stderr(
          `${command}: ${analysis.recordsRead} records are not indexed and were read; 'modelgate audit index' keeps that work\n`,
        )
      return await use(analysis)
    } finally {
      analysis.close()
    }
  } catch (error) {
    io.progress?.('')
    const { message } = error as Error
    if (error instanceof QueryRefused) {
      io.stderr(legible(`${command}: ${message}\n`))
      return 2
    }
    io.stderr(legible(`${command}: the log in ${dataDir} cannot be read: ${message}\n`))
    return 3
  }
}

/** `asked`: the question as it was typed. */
export function putOnRecord(
  { command, dataDir }: LogQuestion,
  what: { readonly asked: string; readonly records: number },
  io: Io,
): void {
  const problem = leaveAccess(dataDir, { action: command.replace(/^modelgate /, ''), ...what })
  if (problem !== null) io.stderr(legible(`${command}: ${problem}\n`))
}
