/**
 * `GET /api/v1/decisions/{id}`: the records of one request as data: its decision, how its answer ended
 * when that was passed on as it came, and what its shadows came to. The same the command `modelgate explain` tells in words.
 * Each reading is itself on record.
 */
import { findDecision, recordsIn, type Story, withoutSealed } from '../../../audit/find.ts'
import type { RecordAccess } from '../../../audit/record-access.ts'
import { isRequestId } from '../../../audit/records/row.ts'
import { json, problem } from '../reply.ts'
import type { Resource } from '../resource.ts'

const PATH = '/api/v1/decisions/{id}'

/** `dataDir`: absolute path of the log's directory. `onAccess` puts on record what was read from which address. */
export function decision(dataDir: string, onAccess: RecordAccess): Resource {
  return {
    path: PATH,
    summary: 'what was decided for one request, and why; {id} is its modelgate-request-id',
    get: async ({ parameters, client }) => {
      const id = parameters.get('id') ?? ''
      if (!isRequestId(id))
        return problem(400, 'a request id looks like 01890a5d-ac96-774b-bcce-b302099a8057')
      const story: Story | null = await findDecision(dataDir, id)
      onAccess({ action: `GET ${PATH}`, asked: id, records: story === null ? 0 : recordsIn(story) }, client)
      return story === null ? problem(404, `the log has no request ${id}`) : json(withoutSealed(story))
    },
  }
}
