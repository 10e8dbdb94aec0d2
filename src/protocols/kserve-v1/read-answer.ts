/** Values of a V1 answer by JSON pointer, such as `/predictions/0/score`. A model may answer more than predictions. */
import type { Answer } from '../../domain/outcome.ts'
import type { JsonPath } from '../../kernel/json-scan.ts'
import type { ExactScalar, Scalar } from '../protocol.ts'
import { readJson, scalarOf } from '../read-json.ts'

export function readAnswer(answer: Answer, wanted: readonly JsonPath[]): readonly Scalar[] {
  return readExact(answer, wanted).map(scalarOf)
}

export function readExact(answer: Answer, wanted: readonly JsonPath[]): readonly ExactScalar[] {
  return readJson(answer.body, wanted)
}
