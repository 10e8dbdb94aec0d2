/**
 * Fills in the defaults that depend on other keys, so that after it nothing is left to guess: inner
 * timeouts shrink to the total, the only version is the primary, a chain ends with a reply or `fail`.
 */
import { type SettledRate, settleRates } from './rate-limits.ts'
import { patienceOf, protocolOf } from './registries.ts'
import { CONSEQUENCES } from './rules/consequences.ts'
import { primaryOf } from './rules/route.ts'
import type { Checked } from './schema.ts'
import type { CheckedModel } from './schema-model.ts'

const QUEUE_MS = 50
const CONNECT_MS = 250

/** How long an endpoint may take to say whether it is well. */
const PROBE_MS = 1000

type CheckedVersion = CheckedModel['versions'][string]
type CheckedHealth = NonNullable<CheckedVersion['health']>

export interface SettledVersion extends CheckedVersion {
  readonly health?: (CheckedHealth & { path: string; timeout: number; expect: number[] }) | undefined
}

export interface SettledModel extends CheckedModel {
  readonly versions: Record<string, SettledVersion>
  readonly timeouts: Required<{ [K in keyof CheckedModel['timeouts']]: number }>
  readonly breaker: CheckedModel['breaker'] & { readonly slow_after: number }
  readonly limits: CheckedModel['limits'] & { readonly rate: SettledRate[] }
  readonly route: CheckedModel['route'] & { readonly primary: string }
}

export interface Settled extends Omit<Checked, 'models'> {
  readonly server: Checked['server'] & { readonly limits: { readonly rate: SettledRate[] } }
  readonly models: Readonly<Record<string, SettledModel>>
}

/** `checked` must have passed every rule. */
export function settle(checked: Checked): Settled {
  const models = Object.entries(checked.models).map(([name, model]) => [name, settleModel(model)] as const)
  const { server } = checked
  const limits = { ...server.limits, rate: settleRates(server.limits.rate) }
  return { ...checked, server: { ...server, limits }, models: Object.fromEntries(models) }
}

function settleModel(model: CheckedModel): SettledModel {
  const { timeouts, breaker, route, on_failure } = model
  const patience = patienceOf(model.protocol)
  const total = timeouts.total ?? patience.totalMs
  const primary = primaryOf({ model, versionNames: Object.keys(model.versions) }) ?? ''
  const chains = CONSEQUENCES.map((key) => [key, ended(on_failure[key])] as const)
  return {
    ...model,
    timeouts: {
      queue: timeouts.queue ?? Math.min(QUEUE_MS, total),
      connect: timeouts.connect ?? Math.min(CONNECT_MS, total),
      first_byte: timeouts.first_byte ?? Math.min(patience.firstByteMs, total),
      idle: timeouts.idle ?? Math.min(patience.idleMs, total),
      total,
    },
    breaker: { ...breaker, slow_after: breaker.slow_after ?? Math.min(patience.slowAfterMs, total) },
    limits: { ...model.limits, rate: settleRates(model.limits.rate) },
    route: { ...route, primary },
    versions: Object.fromEntries(
      Object.entries(model.versions).map(
        ([name, version]) => [name, settleVersion(version, model.protocol)] as const,
      ),
    ),
    on_failure: Object.fromEntries(chains) as CheckedModel['on_failure'],
  }
}

function settleVersion(version: CheckedVersion, protocol: string): SettledVersion {
  const { health } = version
  if (health === undefined) return { ...version, health }
  const { interval, timeout = Math.min(PROBE_MS, interval), expect = [] } = health
  const path = health.path ?? protocolOf(protocol)?.readyPath ?? ''
  return {
    ...version,
    // The order of codes means nothing, and has no hash of its own.
    health: { ...health, path, timeout, expect: [...expect].sort((one, other) => one - other) },
  }
}

function ended(chain: CheckedModel['on_failure']['timeout']): CheckedModel['on_failure']['timeout'] {
  if (chain.at(-1)?.do === 'version') return [...chain, { do: 'fail' }]
  // `reply:…, fail` means `reply:…`, and has its hash.
  return chain.at(-2)?.do === 'reply' ? chain.slice(0, -1) : chain
}
