/** The list of what there is, for a person with a browser or curl. Plain, so that it works everywhere. */
import { text } from '../reply.ts'
import type { AdminParts, Resource } from '../resource.ts'

export function frontPage({ version, snapshot }: AdminParts, listed: readonly Resource[]): Resource {
  return {
    path: '/',
    summary: 'this list',
    get: () => {
      const { generation, hash } = snapshot()
      const width = Math.max(...listed.map(({ path }) => path.length)) + 2
      const lines = listed.map(({ path, summary }) => `${path.padEnd(width)}${summary}`)
      const title = `modelgate ${version}, configuration ${generation} (${hash.slice(0, 12)})`
      return text([title, '', ...lines, ''].join('\n'))
    },
  }
}
