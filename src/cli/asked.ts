/** What every command does first: answers `--help` and wrong usage by itself. */
import type { Io } from './io.ts'

export interface Usage {
  /** As it is typed: `modelgate audit hold`. */
  readonly command: string
  readonly usage: string
  readonly io: Pick<Io, 'stdout' | 'stderr'>
}

/**
 * What was asked; or the exit code, when that was for help or is no usage of the command. `parse` says in a line what is
 * wrong, or throws it.
 */
export function askedOf<Asked extends { readonly help: boolean }>(
  parse: () => Asked | string,
  { command, usage, io }: Usage,
): Asked | number {
  const asked = tried(parse)
  if (typeof asked === 'string') {
    io.stderr(`${command}: ${asked}\n\n${usage}`)
    return 2
  }
  if (!asked.help) return asked
  io.stdout(usage)
  return 0
}

function tried<Asked>(parse: () => Asked | string): Asked | string {
  try {
    return parse()
  } catch (error) {
    return (error as Error).message
  }
}
