/** The campaigns there are, and how many cases of each make a round that a person waits for. */
import { answers } from './answers.ts'
import { gatewayAnswers } from './answers-through-gateway.ts'
import type { Campaign } from './campaign.ts'
import { requests } from './requests.ts'

export interface CampaignEntry {
  readonly about: string
  /** When none are asked for. */
  readonly cases: number
  readonly run: Campaign
}

export const CAMPAIGNS: ReadonlyMap<string, CampaignEntry> = new Map([
  ['answers', { about: 'any answer, our codec against Node’s parser', cases: 100_000, run: answers }],
  ['gateway-answers', { about: 'any answer, through a whole gateway', cases: 1_000, run: gatewayAnswers }],
  ['requests', { about: 'any request, through a whole gateway', cases: 2_000, run: requests }],
])
