/** What a command is: a function of its arguments, loaded only when asked for. */
import type { Io } from './io.ts'

export type Run = (args: readonly string[], io: Io) => Promise<number>

export interface Command {
  readonly name: string
  readonly summary: string
  load(): Promise<Run>
}
