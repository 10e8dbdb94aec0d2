/** A raw answer is checked when it is JSON; anything else has no values to check. */
import type { Answer } from '../../domain/outcome.ts'
import type { JsonPath } from '../../kernel/json-scan.ts'
import type { Scalar } from '../protocol.ts'
import { readJson } from '../read-json.ts'

export function readAnswer(answer: Answer, wanted: readonly JsonPath[]): readonly Scalar[] {
  return readJson(answer.body, wanted)
}
