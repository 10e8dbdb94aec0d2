/**
 * What can be measured: a work is a kind of task, given to several parts (the gateway and its peers) at several points
 * (rates, sizes). Every work says which parts are held against which.
 */
import type { Programs } from './compiled.ts'
import type { Contender } from './contender.ts'
import type { EndpointCount, Load, Ran } from './load.ts'

/** Where the parts of a work find the endpoint, and what they are made of. */
export interface Stage {
  readonly load: Load
  readonly programs: Programs
  /**
   * What `{{NAME}}` stands for: FIRST, SECOND, SHADOW (ports of the endpoint), SOCKET (its path), BODIES and MODELS
   * (directories).
   */
  readonly values: Readonly<Record<string, string | number>>
  /** The tree that is measured, and another one to be held against it. */
  readonly tree: string
  readonly against: string | undefined
}

export interface Part {
  readonly name: string
  /** Undefined, with the reason printed, where it cannot be had. */
  start(stage: Stage): Promise<Contender | undefined>
  /** Words of a run for this part alone, as `c/README.md` lists them. */
  readonly words?: string
  /** Its code is compiled while it runs, so it is asked for some seconds before anything counts. */
  readonly isCompiledLate?: boolean
}

export interface Point {
  readonly name: string
  readonly words: string
  readonly seconds?: number
  readonly warmSeconds?: number
  /** Of points whose windows are long, or that nothing is promised of. */
  readonly blocksMax?: number
}

/** `held` is measured in multiples of `against`. */
export interface Pair {
  readonly held: string
  readonly against: string
}

/** Runs against parts that stay up, in paired blocks. */
export interface PairedWork {
  readonly kind: 'paired'
  readonly name: string
  readonly title: string
  readonly parts: readonly Part[]
  readonly points: readonly Point[]
  readonly pairs: readonly Pair[]
  /** What is counted; requests unless it is said. */
  readonly unit?: Unit
  /** What is wrong with a run that was to prove that the work is the work; null: nothing. Besides bytes and statuses. */
  faultOf?(ran: Ran): string | null
  /** Asked of every window, not only of the proof. */
  readonly isWatched?: boolean
  /** Answers are not the endpoint's, or streams: bytes are not compared. */
  readonly hasOtherBodies?: boolean
  readonly proofRate?: number
}

/** Something else than runs: one number for a fresh start of each part, several times in turns. */
export interface FreshWork {
  readonly kind: 'fresh'
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly blocksMax: number
  readonly parts: readonly Part[]
  readonly pairs: readonly Pair[]
  measure(part: Part, stage: Stage): Promise<number | undefined>
}

export type Work = PairedWork | FreshWork

export interface Unit {
  readonly name: string
  countOf(ran: Ran): number
}

export const REQUESTS: Unit = { name: 'request', countOf: ({ answered }) => answered }
export const EVENTS: Unit = { name: 'event', countOf: ({ events }) => events ?? 0 }

/** Nine of ten users to the first, the rest to the second; `copies` of every request to the shadow. */
export function splitFault(endpoints: readonly EndpointCount[], copies: number): string | null {
  const [first = 0, second = 0, shadow = 0] = endpoints.map(({ requests }) => requests)
  const share = second / (first + second)
  if (share < 0.06 || share > 0.14) return `${(share * 100).toFixed(1)} % went to the second version`
  const missing = (first + second) * copies - shadow
  if (Math.abs(missing) > 0.002 * (first + second) + 2) return `${missing} copies are missing`
  return null
}
