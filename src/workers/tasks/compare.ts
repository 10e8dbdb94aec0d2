/**
 * Task: hold pairs of answers against each other. Reading answers costs ms per MiB, so never on a lane.
 * Every pair has a verdict of its own: what one answer does to its reader, no other pair may feel.
 */
import { compareOutputs } from '../../analysis/compare-outputs.ts'
import type { AnswerBytes } from '../../protocols/open-inference/read-answer.ts'
import { type CompareResult, type CompareTask, PAIR_FIELDS } from '../messages.ts'

export function run(task: CompareTask): CompareResult {
  return task.rules.map((rules, index) => {
    try {
      return compareOutputs(answerAt(task, index, PRIMARY), answerAt(task, index, SHADOW), rules)
    } catch {
      return { agreement: 'incomparable', differences: rules.map(() => null) }
    }
  })
}

const PRIMARY = 0
const SHADOW = 3

function answerAt(task: CompareTask, index: number, side: number): AnswerBytes {
  const at = index * PAIR_FIELDS + side
  const bytes = new Uint8Array(task.bytes, task.pairs[at]!, task.pairs[at + 1]!)
  return { bytes, jsonLength: task.pairs[at + 2]! }
}
