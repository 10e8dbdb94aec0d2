/**
 * An endpoint that knows the model by another name (`rename`) says so when it is asked whether the model is
 * ready. Predictions hold no name of the protocol’s, and are the model’s own: they are never touched.
 */
import { headerOf } from '../../domain/head.ts'
import type { Answer } from '../../domain/outcome.ts'
import { type JsonPath, scanJson } from '../../kernel/json-scan.ts'
import type { OurNames } from '../protocol.ts'
import { splice } from '../splice.ts'

const READINESS: readonly JsonPath[] = [['name'], ['ready'], ['predictions']]

/** The answer itself where there is nothing to replace, or where it cannot be read. */
export function renameAnswer(answer: Answer, version: OurNames): Answer {
  if (headerOf(answer.headers, 'content-encoding') !== undefined) return answer
  const scan = scanJson(answer.body, READINESS)
  if (!scan.ok) return answer
  const [name, ready, predictions] = scan.found
  if (name?.kind !== 'string' || ready === null || predictions !== null) return answer
  return { ...answer, body: splice(answer.body, [{ span: name, text: version.model }]) }
}
