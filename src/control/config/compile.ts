/**
 * Checked configuration to Snapshot: names in, units in names, nothing optional, deeply frozen. It
 * decides nothing and refuses nothing; whatever could be wrong was reported before.
 */
import { resolve } from 'node:path'
import type {
  AuditMode,
  Consequence,
  ConsequenceKey,
  HealthSettings,
  Model,
  RateLimit,
  RetrySettings,
  Route,
  Rule,
  RuleTest,
  ServerTls,
  Snapshot,
  Version,
} from '../../domain/routes.ts'
import { assert } from '../../kernel/assert.ts'
import { configHash, type ReplyFile } from './canonical.ts'
import { compileCapture } from './compile-capture.ts'
import { compileEndpoint } from './compile-endpoint.ts'
import { compileCache, compileIdempotency } from './compile-kept.ts'
import { deepFreeze } from './freeze.ts'
import { ownSettings, REASONS } from './own-settings.ts'
import { compileRates } from './rate-limits.ts'
import { protocolOf } from './registries.ts'
import type { Settled, SettledModel } from './settle.ts'

export interface CompileContext {
  /** Absolute; relative paths of the configuration start here. */
  readonly directory: string
  readonly cores: number
  readonly generation: number
  /** By path as written. */
  readonly replies: ReadonlyMap<string, ReplyFile>
  /** PEM files, by path as written. */
  readonly pems: ReadonlyMap<string, string>
}

export function compile(settled: Settled, context: CompileContext): Snapshot {
  const { audit, server, scoring } = settled
  const versions: Version[] = []
  const rates: RateLimit[] = []
  const serverRates = compileRates(server.limits.rate, rates)
  const models = new Map<string, Model>()
  for (const [name, model] of Object.entries(settled.models)) {
    models.set(
      name,
      compileModel(name, model, {
        context,
        index: models.size,
        versions,
        rates,
        serverRates,
        auditMode: audit.mode,
        denyPrivate: settled.upstream.deny_private,
        capture: audit.capture,
      }),
    )
  }
  return deepFreeze<Snapshot>({
    generation: context.generation,
    hash: configHash(settled, context.replies, context.pems),
    server: {
      listen: server.listen,
      admin: server.admin,
      lanes: server.lanes === 'auto' ? Math.max(1, context.cores - 1) : server.lanes,
      dataDir: resolve(context.directory, server.data_dir),
      bodyBytesMax: server.limits.body,
      headerBytesMax: server.limits.headers,
      connectionsMax: server.limits.connections,
      memoryBytesMax: server.limits.memory ?? null,
      chunkedAccepted: server.limits.chunked_requests === 'accept',
      trust: server.trust,
      graceMs: server.grace,
      drainDelayMs: server.drain_delay,
      sharesPort: server.share_port,
      tls: compileServerTls(server.tls, context.directory),
    },
    audit: {
      mode: audit.mode,
      strictest: strictestOf(models.values()),
      digestBytesMax: audit.digest_limit,
      retentionMs: audit.retention ?? null,
      isHeld: audit.hold,
    },
    scoring: {
      threads: scoring.threads === 'auto' ? Math.max(1, context.cores) : scoring.threads,
      queueMax: scoring.queue,
    },
    reasons: REASONS,
    models,
    versions,
    rates,
  })
}

function strictestOf(models: Iterable<Model>): AuditMode {
  const modes = new Set([...models].map(({ auditMode }) => auditMode))
  return modes.has('durable') ? 'durable' : modes.has('batched') ? 'batched' : 'best-effort'
}

function compileServerTls(tls: Settled['server']['tls'], directory: string): ServerTls | null {
  if (tls === undefined) return null
  return {
    certFile: resolve(directory, tls.cert),
    keyFile: resolve(directory, tls.key),
    clientCaFile: tls.client_ca === undefined ? null : resolve(directory, tls.client_ca),
    minVersion: tls.min_version,
  }
}

interface Numbering {
  readonly context: CompileContext
  readonly index: number
  readonly denyPrivate: boolean
  /** The server's. */
  readonly capture: Settled['audit']['capture']
  /** Where the model has none of its own. */
  readonly auditMode: AuditMode
  /** Grows by this model's versions. */
  readonly versions: Version[]
  /** Grows by this model's limits. */
  readonly rates: RateLimit[]
  readonly serverRates: readonly RateLimit[]
}

function compileModel(name: string, model: SettledModel, numbering: Numbering): Model {
  const { timeouts, breaker } = model
  const { context } = numbering
  assert(protocolOf(model.protocol) !== undefined, 'protocols not spoken were refused')
  return {
    index: numbering.index,
    name,
    protocol: model.protocol,
    key: model.key,
    timeouts: {
      queueMs: timeouts.queue,
      connectMs: timeouts.connect,
      firstByteMs: timeouts.first_byte,
      idleMs: timeouts.idle,
      totalMs: timeouts.total,
    },
    stream: { keepAliveMs: model.stream.keep_alive ?? 0 },
    rates: [...compileRates(model.limits.rate, numbering.rates), ...numbering.serverRates],
    idempotency: compileIdempotency(model.idempotency),
    cache: compileCache(model.cache),
    limits: {
      concurrent: model.limits.concurrent,
      queue: model.limits.queue,
      adaptive: model.limits.adaptive,
    },
    priority: model.priority,
    auditMode: model.audit?.mode ?? numbering.auditMode,
    retry: compileRetry(model.retry),
    breaker: {
      windowMs: breaker.window,
      minRequests: breaker.min_requests,
      failureRate: breaker.failure_rate,
      slowAfterMs: breaker.slow_after,
      slowRate: breaker.slow_rate,
      consecutive: breaker.consecutive,
      openForMs: breaker.open_for,
      openForMaxMs: breaker.open_for_max,
      probes: breaker.probes,
      enforce: breaker.enforce,
    },
    onFailure: compileChains(model, context.replies),
    output: byName(model.output).map(([checkName, check]) => ({
      name: checkName,
      pointer: check.path,
      type: check.type,
      min: check.min ?? Number.NEGATIVE_INFINITY,
      max: check.max ?? Number.POSITIVE_INFINITY,
    })),
    route: compileRoute(model.route),
    compare: model.compare.outputs.map((rule) => ({
      pointer: rule.path,
      as: rule.as,
      toleranceAbs: rule.tolerance?.abs ?? 0,
      toleranceRel: rule.tolerance?.rel ?? 0,
    })),
    capture: compileCapture(numbering.capture, model.audit?.capture),
    versions: compileVersions(name, model, numbering),
  }
}

function compileVersions(modelName: string, model: SettledModel, numbering: Numbering): Map<string, Version> {
  const versions = new Map<string, Version>()
  for (const [name, version] of Object.entries(model.versions)) {
    const identity = { index: numbering.versions.length, model: modelName, name }
    const compiled: Version =
      version.endpoints !== undefined
        ? {
            ...identity,
            kind: 'remote',
            firstEndpoint: endpointsOf(numbering.versions),
            endpoints: version.endpoints.map((origin) =>
              compileEndpoint(origin, {
                tls: version.tls,
                pipeline: version.pipeline ?? 1,
                denyPrivate: numbering.denyPrivate,
                pems: numbering.context.pems,
              }),
            ),
            balance: version.balance,
            health: compileHealth(version.health),
            slowStartMs: version.slow_start ?? 0,
            rename: { model: version.rename?.model ?? null, version: version.rename?.version ?? null },
          }
        : {
            ...identity,
            kind: 'local',
            runtime: version.runtime ?? 'onnx',
            file: resolve(numbering.context.directory, version.file ?? ''),
            fileAsWritten: version.file ?? '',
          }
    versions.set(name, compiled)
    numbering.versions.push(compiled)
  }
  return versions
}

/** How many endpoints these have together. */
function endpointsOf(versions: readonly Version[]): number {
  const last = versions.findLast((version) => version.kind === 'remote')
  return last === undefined ? 0 : last.firstEndpoint + last.endpoints.length
}

function compileHealth(health: SettledModel['versions'][string]['health']): HealthSettings | null {
  if (health === undefined) return null
  const { interval, timeout, ...more } = health
  return { ...more, intervalMs: interval, timeoutMs: timeout }
}

function compileRetry({
  attempts,
  on,
  budget,
  hedge_after,
  hedge_budget,
}: SettledModel['retry']): RetrySettings {
  const hedge = hedge_after === undefined ? null : { after: hedge_after, budget: hedge_budget }
  return { attempts, on, budget, hedge }
}

function compileChains(
  model: SettledModel,
  replies: CompileContext['replies'],
): Record<ConsequenceKey, Consequence[]> {
  const { timeout, breaker_open, overload, invalid_output, error } = model.on_failure
  const compiled = (chain: typeof timeout): Consequence[] =>
    chain.map((step) => {
      if (step.do !== 'reply') return step
      const reply = replies.get(step.file)
      assert(reply !== undefined, 'missing reply files were reported')
      return { do: 'reply', file: step.file, contentType: reply.contentType, body: reply.body }
    })
  return {
    timeout: compiled(timeout),
    breaker_open: compiled(breaker_open),
    overload: compiled(overload),
    invalid_output: compiled(invalid_output),
    error: compiled(error),
  }
}

function compileRoute(route: SettledModel['route']): Route {
  const { experiment } = route
  return {
    primary: route.primary,
    own: ownSettings(route),
    rules: route.rules.map(
      (rule): Rule => ({
        when: { header: rule.when.header, test: testOf(rule.when) },
        version: rule.version,
      }),
    ),
    pinAllowed: route.pin,
    experiment:
      experiment === undefined
        ? null
        : {
            name: experiment.name,
            arms: byName(experiment.arms).map(([version, percent]) => ({ version, percent })),
          },
    shadows: route.shadows.map((shadow) => ({
      version: shadow.version,
      percent: shadow.percent,
      concurrentMax: shadow.max_concurrent,
      timeoutMs: shadow.timeout,
    })),
  }
}

function testOf(when: SettledModel['route']['rules'][number]['when']): RuleTest {
  if (when.equals !== undefined) return { is: 'equals', value: when.equals }
  if (when.prefix !== undefined) return { is: 'prefix', value: when.prefix }
  if (when.in !== undefined) return { is: 'in', values: when.in }
  return { is: 'present' }
}

/**
 * Entries in code-unit order of their names. Arms and checks are kept in this order, so that moving a
 * line in the file moves no key to another arm: what does not change the hash changes no behaviour.
 */
function byName<T>(table: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(table).sort(([left], [right]) => (left < right ? -1 : 1))
}
