/** Task: hold pairs of answers against each other. Parsing answers costs ms per MiB, so never on a lane. */
import { compareOutputs } from '../../analysis/compare-outputs.ts'
import { type CompareResult, type CompareTask, PAIR_FIELDS } from '../messages.ts'

export function run(task: CompareTask): CompareResult {
  return task.rules.map((rules, index) => {
    const [primaryAt, primaryLength, primaryJson, shadowAt, shadowLength, shadowJson] = task.pairs.subarray(
      index * PAIR_FIELDS,
      (index + 1) * PAIR_FIELDS,
    ) as unknown as [number, number, number, number, number, number]
    return compareOutputs(
      { bytes: new Uint8Array(task.bytes, primaryAt, primaryLength), jsonLength: primaryJson },
      { bytes: new Uint8Array(task.bytes, shadowAt, shadowLength), jsonLength: shadowJson },
      rules,
    )
  })
}
