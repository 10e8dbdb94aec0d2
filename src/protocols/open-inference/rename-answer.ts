/**
 * An endpoint that knows the model by another name (`rename`) answers with that name. Callers asked for
 * ours and are told ours: the two names are replaced where they stand, every other byte stays as it is.
 */
import { headerOf } from '../../domain/head.ts'
import type { Answer } from '../../domain/outcome.ts'
import { type JsonPath, scanJson } from '../../kernel/json-scan.ts'
import type { OurNames } from '../protocol.ts'
import { splice } from '../splice.ts'
import { JSON_LENGTH_HEADER } from './identify.ts'

const NAMES: readonly JsonPath[] = [['model_name'], ['model_version'], ['name']]

/** The answer itself where there is nothing to replace, or where it cannot be read. */
export function renameAnswer(answer: Answer, version: OurNames): Answer {
  if (headerOf(answer.headers, 'content-encoding') !== undefined) return answer
  const declared = headerOf(answer.headers, JSON_LENGTH_HEADER)
  const jsonLength = declared === undefined ? answer.body.length : Number(declared)
  if (!Number.isInteger(jsonLength) || jsonLength > answer.body.length) return answer
  const scan = scanJson(answer.body.subarray(0, jsonLength), NAMES)
  if (!scan.ok) return answer
  const [modelName, modelVersion, name] = scan.found
  // Metadata says `name`, an inference `model_name`; both are the model's.
  const replaced = [
    { span: modelName ?? name, text: version.model },
    { span: modelVersion, text: version.name },
  ].flatMap(({ span, text }) => (span?.kind === 'string' ? [{ span, text }] : []))
  const body = splice(answer.body, replaced)
  if (declared === undefined) return { ...answer, body }
  const grown = String(jsonLength + body.length - answer.body.length)
  const headers = answer.headers.map((value, index) =>
    index % 2 === 1 && answer.headers[index - 1] === JSON_LENGTH_HEADER ? grown : value,
  )
  return { ...answer, headers, body }
}
