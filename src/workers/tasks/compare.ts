/**
 * Task: hold pairs of answers against each other, each as its dialect reads it. Reading answers costs ms per MiB,
 * so never on a lane. Every pair has a verdict of its own: what one answer does to its reader, no other pair may feel.
 */
import { compareOutputs } from '../../analysis/compare-outputs.ts'
import type { Answer } from '../../domain/outcome.ts'
import { PROTOCOLS } from '../../protocols/index.ts'
import { type CompareResult, type CompareTask, PAIR_FIELDS } from '../messages.ts'

export function run(task: CompareTask): CompareResult {
  return task.pairs.map(({ protocol, rules, headers, rename }, index) => {
    try {
      const dialect = PROTOCOLS.find(({ name }) => name === protocol)!
      const primary = answerAt(task, headers[0], index * PAIR_FIELDS)
      const shadow = answerAt(task, headers[1], index * PAIR_FIELDS + 2)
      const ours = rename === null ? shadow : dialect.renameAnswer!(shadow, rename)
      return compareOutputs({ primary, shadow: ours }, rules, dialect)
    } catch {
      return { agreement: 'incomparable', differences: rules.map(() => null) }
    }
  })
}

function answerAt(task: CompareTask, headers: readonly string[], at: number): Answer {
  const body = new Uint8Array(task.bytes, task.places[at]!, task.places[at + 1]!)
  return { status: 200, headers, body }
}
