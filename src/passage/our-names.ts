/** Callers, checks and comparisons are told our names of model and version, whatever the endpoint calls them. */
import type { Answer } from '../domain/outcome.ts'
import type { Version } from '../domain/routes.ts'
import type { Protocol } from '../protocols/protocol.ts'

/** The version's endpoints know it by names of their own, and the dialect's answers tell names. */
export function isRenamed(version: Version, { renameAnswer }: Protocol): boolean {
  if (version.kind === 'local' || renameAnswer === null) return false
  return version.rename.model !== null || version.rename.version !== null
}

export function withOurNames(answer: Answer, version: Version, protocol: Protocol): Answer {
  if (version.kind === 'local' || !isRenamed(version, protocol)) return answer
  return protocol.renameAnswer!(answer, version)
}
