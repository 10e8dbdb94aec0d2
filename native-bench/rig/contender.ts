/**
 * Something a request can be sent through, or straight to. All of them are up during a whole measurement; idle ones
 * use next to no CPU.
 */
import type { Ran } from './load.ts'

export interface Contender {
  readonly name: string
  readonly port: number
  /** What stands before the endpoint's own path. */
  readonly prefix: string
  /** Whose CPU time is counted; nothing for the endpoint itself. */
  processes(): readonly number[]
  stop(): Promise<void>
  /** In place of the generator, where requests are no part of it; the words are those of a run. */
  measure?(words: string): Promise<Ran>
}

export function direct(port: number): Contender {
  return { name: 'direct', port, prefix: '', processes: () => [], stop: async () => {} }
}
