/** What is kept of bodies, as it is in force for one model. */
import type { CaptureSettings } from '../../domain/routes.ts'
import type { Checked } from './schema.ts'
import type { CheckedModel } from './schema-model.ts'

/** What the server never keeps, no model keeps either: paths to redact only ever come together. */
export function compileCapture(
  server: Checked['audit']['capture'],
  model: NonNullable<CheckedModel['audit']>['capture'],
): CaptureSettings | null {
  const percent = model?.percent ?? server.percent
  if (percent === 0) return null
  return {
    share: percent / 100,
    redact: [...new Set([...server.redact, ...(model?.redact ?? [])])],
    subject: model?.subject ?? server.subject ?? [],
    bytesMax: model?.limit ?? server.limit,
  }
}
