/** The V2 metadata of a local version, from what its model said when it was loaded. */
import { Buffer } from 'node:buffer'
import type { Answer } from '../domain/outcome.ts'
import type { LocalVersion, Snapshot } from '../domain/routes.ts'
import type { ModelFacts } from './loader.ts'

/** A model that declares no inputs or outputs is answered with empty lists. */
export function metadataAnswer(snapshot: Snapshot, version: LocalVersion, facts: ModelFacts): Answer {
  const model = snapshot.models.get(version.model)
  // The protocol has here what callers may ask for in the path, and no such field where they may not.
  const versions = model?.route.pinAllowed ? { versions: [...model.versions.keys()] } : {}
  const { inputs, outputs } = facts.signature
  const document = {
    name: version.model,
    ...versions,
    platform: facts.platform,
    inputs: inputs ?? [],
    outputs: outputs ?? [],
  }
  return {
    status: 200,
    headers: ['content-type', 'application/json'],
    body: Buffer.from(JSON.stringify(document)),
  }
}
