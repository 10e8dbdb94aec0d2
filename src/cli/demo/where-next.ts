/** Lines that work when pasted into a shell in this directory: addresses, curl commands, what to read. */
import { existsSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { HostPort } from '../../domain/routes.ts'
import { packageRoot } from '../package-version.ts'
import { adminUrl } from './admin-client.ts'
import { asTyped } from './stage.ts'

/** How this very program is called from here. */
export function commandFor(rest: string): string {
  return `node ${asTyped(join(packageRoot(), 'build', 'src', 'main.js'))} ${rest}`
}

/** Longer paths push their words to the right. */
const NAME_CHARS = 16

const DOCUMENTS = new Map([
  ['README.md', 'what modelgate is for'],
  ['ARCHITECTURE.md', 'what a request goes through, and where that code lies'],
  [join('models', 'README.md'), 'the models, their data, and what they are worth'],
  ['config', 'one annotated configuration for each feature'],
])

/** After a demo. `admin`: where the admin API will be once it serves. */
export function nextLines(configFile: string, exampleId: string, admin: HostPort): string[] {
  const config = asTyped(configFile)
  const withConfig = config === 'gateway.toml' ? '' : ` --config ${config}`
  const root = packageRoot()
  const there = [...DOCUMENTS.keys()].map((name) => join(root, name)).filter((file) => existsSync(file))
  const lines: readonly (readonly [string, string])[] = [
    ['npm start', `serves the same until stopped, with curl lines; see ${adminUrl(admin)}`],
    [commandFor(`explain ${exampleId}${withConfig}`), ''],
    [commandFor(`check ${config}`), ''],
    [config, 'the configuration of all this, each setting with its reason: change it, check it'],
    ...there.map((file) => [asTyped(file), DOCUMENTS.get(relative(root, file)) ?? ''] as const),
  ]
  return lines.map(([what, words]) => (words === '' ? what : `${what.padEnd(NAME_CHARS)}  ${words}`))
}

const FLIGHT =
  '{"inputs":[{"name":"features","datatype":"FP32","shape":[1,7],"data":[12.717,3,828,28.429,-81.316,39.717,-86.294]}]}'

/** While serving. */
export function curlLines(inference: HostPort, admin: HostPort): string[] {
  const base = adminUrl(inference, '')
  const digit = asTyped(join(packageRoot(), 'models', 'digits', 'example.json'))
  return [
    `curl -i ${base}/v2/models/flights/infer -H 'content-type: application/json' -H 'x-route: MCO-IND' -d '${FLIGHT}'`,
    `curl -s ${base}/v2/models/digits/infer -H 'content-type: application/json' -H 'x-user-id: ana' -d @${digit}`,
    `curl -s ${adminUrl(admin, '/api/v1/stats')}`,
  ]
}
