/** What a campaign is given and what it tells, whichever side it plays. */

export interface CampaignOptions {
  readonly cases: number
  readonly seed: number
  /** What is being done, each in words that find it again; what stays here too long is told as hanging. */
  readonly underWay: Set<string>
  print(line: string): void
  /** No further case is begun. */
  isOver(): boolean
  /** For a short run: without the cases that wait for the server's own timers. */
  readonly isWithoutStays?: boolean
}

export interface CampaignReport {
  readonly done: number
  /** Each in a form that can be kept as corpus. */
  readonly findings: readonly string[]
  /** By title: how often what. */
  readonly tables: Readonly<Record<string, ReadonlyMap<string, number>>>
}

export type Campaign = (options: CampaignOptions) => Promise<CampaignReport>

/** Does `task` and says so meanwhile. */
export async function during<T>(underWay: Set<string>, words: string, task: () => Promise<T>): Promise<T> {
  underWay.add(words)
  try {
    return await task()
  } finally {
    underWay.delete(words)
  }
}
