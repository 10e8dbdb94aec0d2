/** What a campaign is given and what it tells, whichever side it plays. */

export interface CampaignOptions {
  readonly cases: number
  readonly seed: number
  print(line: string): void
}

export interface CampaignReport {
  readonly done: number
  /** Each in a form that can be kept as corpus. */
  readonly findings: readonly string[]
  /** By title: how often what. */
  readonly tables: Readonly<Record<string, ReadonlyMap<string, number>>>
}

export type Campaign = (options: CampaignOptions) => Promise<CampaignReport>
