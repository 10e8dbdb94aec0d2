/**
 * What is compared, written as an operator would: each strategy is a piece of gateway.toml, read by the gateway's own
 * configuration, so that a simulated run means what a real one would.
 */
import { checkConfig } from '../../src/control/config/check-config.ts'
import type { Model, RemoteVersion } from '../../src/domain/routes.ts'
import { ENDPOINTS } from './profiles.ts'

export interface Strategy {
  readonly name: string
  readonly balance: string
  /** Inside `retry = { … }`; empty: none. */
  readonly retry: string
}

const RETRY = 'attempts = 2, on = ["connect", "reset", "500", "503"]'

export const STRATEGIES: readonly Strategy[] = [
  { name: 'round-robin', balance: 'round-robin', retry: '' },
  { name: 'ring-hash', balance: 'ring-hash', retry: '' },
  { name: 'least-loaded', balance: 'least-loaded', retry: '' },
  { name: 'least-loaded, retries', balance: 'least-loaded', retry: RETRY },
  { name: 'least-loaded, retries, p95', balance: 'least-loaded', retry: `${RETRY}, hedge_after = "p95"` },
  { name: 'round-robin, retries, p95', balance: 'round-robin', retry: `${RETRY}, hedge_after = "p95"` },
]

export interface Configured {
  readonly model: Model
  readonly version: RemoteVersion
}

export function configured({ balance, retry }: Strategy): Configured {
  const endpoints = Array.from({ length: ENDPOINTS }, (_, index) => `"http://10.0.0.${index + 1}"`)
  const text = `[models.m]
${retry === '' ? '' : `retry = { ${retry} }`}
[models.m.versions.v1]
balance = "${balance}"
endpoints = [${endpoints.join(', ')}]
`
  const result = checkConfig(text, {
    file: 'simulated.toml',
    directory: '/',
    cores: 1,
    generation: 1,
    now: 0,
    readFile: () => ({ ok: false, reason: 'there are no files here' }),
    fileExists: () => false,
  })
  if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join('\n'))
  const [version] = result.snapshot.versions
  return { model: result.snapshot.models.get('m')!, version: version as RemoteVersion }
}
