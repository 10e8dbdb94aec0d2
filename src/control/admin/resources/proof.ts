/**
 * What the log proves, for those who have no access to its directory: the newest signed checkpoint, and of a single
 * record that it is in the log, in C2SP's forms. Each proof that was handed out is itself on record.
 */
import { awaitProof, readCheckpointNote } from '../../../audit/make-proof.ts'
import type { RecordAccess } from '../../../audit/record-access.ts'
import { parseCount } from '../../../audit/tree/checkpoint.ts'
import { problem } from '../reply.ts'
import type { Reply, Resource } from '../resource.ts'

const PATH = '/api/v1/audit/proofs/{seq}'
const TEXT = 'text/plain; charset=utf-8'

/** `dataDir`: absolute path of the log's directory. */
export function checkpoint(dataDir: string): Resource {
  return {
    path: '/api/v1/audit/checkpoint',
    summary:
      'the newest signed root of the log; keep a copy elsewhere, and history cannot be rewritten behind it',
    get: () => {
      const found = readCheckpointNote(dataDir)
      return found === undefined ? problem(404, 'the log has no checkpoint') : text(found.note)
    },
  }
}

/** `onAccess` puts on record what was proven to which address. */
export function proof(dataDir: string, onAccess: RecordAccess): Resource {
  return {
    path: PATH,
    summary:
      'proof that record {seq} is in the log, as in modelgate-receipt; ?record=false leaves its bytes out',
    get: async ({ parameters, query, client }) => {
      const asked = parameters.get('seq') ?? ''
      const sequence = parseCount(asked)
      if (sequence === undefined)
        return problem(400, 'a sequence is a whole number from 0, as in modelgate-receipt')
      const made = await awaitProof(dataDir, sequence, query.get('record') !== 'false')
      onAccess({ action: `GET ${PATH}`, asked, records: made.kind === 'proof' ? 1 : 0 }, client)
      if (made.kind === 'proof') return text(made.text)
      if (made.kind === 'unknown') return problem(404, `the log has no record ${sequence}`)
      return problem(
        409,
        `record ${sequence} is not signed yet; the newest checkpoint covers ${made.size} records`,
      )
    },
  }
}

function text(body: string): Reply {
  return { status: 200, contentType: TEXT, body }
}
