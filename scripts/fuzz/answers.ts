/**
 * The long campaign of the answer side: endpoints' answers, well-formed and damaged, read by our codec and
 * by Node's parser. Prints how many of which kind there were, what is refused here that Node reads, and
 * every broken law with the smallest case that breaks it, in the form of test/corpus/http1.
 *
 *     npm run fuzz -- answers --cases 1000000 --seed 1
 */
import type { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { type AnswerCase, answerCases } from './answer-cases.ts'
import { type Campaign, during } from './campaign.ts'
import { judgeAnswer } from './judge-answer.ts'

/** One run of fast-check: it stops at its first finding, so findings are at most one for each batch. */
const BATCH_CASES = 5_000
const FINDINGS_MAX = 20

export const answers: Campaign = async ({ cases, seed, underWay, print, isOver }) => {
  const tally = new Map<string, number>()
  const stricter = new Map<string, number>()
  const findings = new Map<string, string>()
  let done = 0
  const law = fc.asyncProperty(answerCases(), async (one) => {
    const { outcome, isStricter, broken } = await judgeAnswer(one)
    tally.set(outcome, (tally.get(outcome) ?? 0) + 1)
    if (isStricter) stricter.set(outcome, (stricter.get(outcome) ?? 0) + 1)
    return broken === ''
  })
  for (let batch = 0; done < cases && findings.size < FINDINGS_MAX && !isOver(); batch += 1) {
    const numRuns = Math.min(BATCH_CASES, cases - done)
    const result = await during(underWay, `${numRuns} cases from seed ${seed + batch}`, async () =>
      fc.check(law, { numRuns, seed: seed + batch }),
    )
    done += numRuns
    // Within a batch nothing waits for the event loop: its timers, which tell of progress, have their turn here.
    await new Promise((resolve) => setImmediate(resolve))
    if (result.failed && result.counterexample !== null) {
      const [one] = result.counterexample
      const { broken } = await judgeAnswer(one)
      if (!findings.has(broken)) findings.set(broken, entryOf(one, broken))
    }
    if (batch % 20 === 19) print(`${done} cases, ${findings.size} findings`)
  }
  return { done, findings: [...findings.values()], tables: { outcome: tally, 'refused here only': stricter } }
}

function entryOf({ method, bytes }: AnswerCase, broken: string): string {
  return `=== ${broken}\nmethod: ${method}\n---\n${escaped(bytes)}`
}

/** As test/corpus/http1 writes bytes. */
export function escaped(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(/[^ -[\]-~]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
    .replaceAll('\\x0d\\x0a', '\\r\\n')
}
