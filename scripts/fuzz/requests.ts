/**
 * The long campaign of the request side: callers’ bytes, well-formed and damaged, over real sockets to a real gateway
 * with recording endpoints behind it. Prints what became of them, what is refused although a strict reader accepts
 * it, and for every broken law the bytes that break it, in the form of test/corpus/requests.
 *
 *     npm run fuzz -- requests --cases 200000 --seed 1
 *
 * Case n of a run is `--cases 1 --seed (seed + n)`.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { type CampaignOptions, type CampaignReport, during } from './campaign.ts'
import { judgeRequest, type Told } from './judge-requests.ts'
import type { Received } from './recording-endpoint.ts'
import { play } from './request-caller.ts'
import { type RequestCase, requestCase } from './request-cases.ts'
import { escaped, RequestStage } from './request-stage.ts'

/** One gateway and one log for so many cases. */
const BATCH_CASES = 20_000
const CALLERS = 24
/** Callers that wait for the server’s timers, at one time. */
const STAYING_MAX = 40
const FINDINGS_MAX = 20
/** An endpoint may get what a caller sent a little after that caller broke off. */
const REMEMBERED_CASES = 3

export async function requests(options: CampaignOptions): Promise<CampaignReport> {
  const { cases, print, isOver } = options
  const run = new Run(options)
  while (run.done < cases && run.findings.size < FINDINGS_MAX && !isOver()) {
    await run.batch(Math.min(BATCH_CASES, cases - run.done))
    print(`${run.done} cases, ${run.findings.size} findings`)
  }
  const { done, findings, outcomes, refused } = run
  return {
    done,
    findings: [...findings.values()],
    tables: { outcomes, 'refused, but strictly well-formed': refused },
  }
}

class Run {
  done = 0
  readonly findings = new Map<string, string>()
  readonly outcomes = new Map<string, number>()
  readonly refused = new Map<string, number>()
  readonly #options: CampaignOptions
  #next = 0
  #stays = 0
  #staying = new Set<Promise<void>>()
  #told: Told[] = []

  constructor(options: CampaignOptions) {
    this.#options = options
  }

  async batch(cases: number): Promise<void> {
    const stage = await during(this.#options.underWay, 'the gateways start', () => RequestStage.open())
    const first = this.#next
    const end = first + cases
    this.#told = []
    await Promise.all(Array.from({ length: CALLERS }, (_, index) => this.#caller(stage, index, end)))
    await Promise.all(this.#staying)
    this.done += this.#next - first
    const laws = await during(this.#options.underWay, 'the gateways stop', () => stage.close(this.#told))
    for (const law of laws) this.#find(law, `cases ${first} to ${this.#next}`)
  }

  /** Plays case after case from one address. */
  async #caller(stage: RequestStage, index: number, end: number): Promise<void> {
    const before: string[][] = []
    while (this.#next < end && stage.death === '' && !this.#options.isOver()) {
      const one = requestCase(this.#options.seed + this.#next++)
      if (one.leaving === 'stay' && this.#options.isWithoutStays) continue
      if (one.leaving === 'stay' && this.#staying.size < STAYING_MAX) this.#stay(stage, one)
      else await this.#play(stage, one, `127.0.1.${index + 1}`, before)
    }
  }

  #stay(stage: RequestStage, one: RequestCase): void {
    // Two that stay at the same time must not have the same address.
    this.#stays += 1
    const staying = this.#play(stage, one, `127.1.${(this.#stays >> 8) & 255}.${this.#stays & 255}`, [])
    this.#staying.add(staying)
    void staying.finally(() => this.#staying.delete(staying))
  }

  async #play(stage: RequestStage, one: RequestCase, address: string, before: string[][]): Promise<void> {
    try {
      const played = await during(this.#options.underWay, `--cases 1 --seed ${one.number}`, () =>
        play(one, stage.portFor(one.number), address),
      )
      const received = stage.take(address).filter((each) => !wasOpen(before, each))
      const verdict = judgeRequest(one, played, received)
      count(this.outcomes, verdict.outcome)
      for (const words of verdict.refused) count(this.refused, words)
      this.#told.push(...verdict.told)
      before.push([...verdict.open])
      if (before.length > REMEMBERED_CASES) before.shift()
      if (verdict.broken !== '') this.#find(verdict.broken, entryOf(one, played.sent, received))
    } catch (problem) {
      if (stage.death === '')
        this.#find(`cannot be played: ${String(problem)}`, entryOf(one, one.messages[0]!, []))
      await pause(10)
    }
  }

  #find(law: string, entry: string): void {
    if (!this.findings.has(law)) this.findings.set(law, `=== ${law}\n${entry}`)
  }
}

/** It belongs to one of the cases before. */
function wasOpen(before: readonly string[][], { fingerprint, headFingerprint }: Received): boolean {
  for (const open of before) {
    const at = open.findIndex((one) => one === fingerprint || one === headFingerprint)
    if (at === -1) continue
    open.splice(at, 1)
    return true
  }
  return false
}

function count(table: Map<string, number>, what: string): void {
  table.set(what, (table.get(what) ?? 0) + 1)
}

function entryOf(
  { number, leaving, messages }: RequestCase,
  sent: Buffer,
  received: readonly Received[],
): string {
  const got = received.map(({ line }) => `endpoint: ${line}\n`).join('')
  return `case: ${number}, ${messages.length} messages, ${leaving}\n${got}---\n${escaped(sent)}`
}
