/**
 * `GET /api/v1/decisions/{id}`: the records of one request as data: its decision, how its answer ended
 * when that was passed on as it came, and what its shadows came to. The same the command `modelgate explain` tells in words.
 */
import { findDecision, type Story } from '../../../audit/find.ts'
import { isRequestId } from '../../../audit/records/row.ts'
import { json, problem } from '../reply.ts'
import type { Resource } from '../resource.ts'

/** `dataDir`: absolute path of the log's directory. */
export function decision(dataDir: string): Resource {
  return {
    path: '/api/v1/decisions/{id}',
    summary: 'what was decided for one request, and why; {id} is its modelgate-request-id',
    get: async ({ parameters }) => {
      const id = parameters.get('id') ?? ''
      if (!isRequestId(id))
        return problem(400, 'a request id looks like 01890a5d-ac96-774b-bcce-b302099a8057')
      const story: Story | null = await findDecision(dataDir, id)
      return story === null ? problem(404, `the log has no request ${id}`) : json(story)
    },
  }
}
