/** Models, intents and heads for tests of the deterministic stages, with everything not named at rest. */
import type { Head } from '../../src/domain/head.ts'
import type { Intent } from '../../src/domain/intent.ts'
import type { LocalVersion, Model, RemoteVersion, Route, Version } from '../../src/domain/routes.ts'
import { endpointAt } from './endpoint-at.ts'

export function makeHead(
  more: Partial<Head> & { readonly fields?: Readonly<Record<string, string>> } = {},
): Head {
  const { fields = {}, ...rest } = more
  return {
    method: 'POST',
    target: '/v2/models/fraud/infer',
    path: '/v2/models/fraud/infer',
    query: '',
    headers: Object.entries(fields).flat(),
    contentLength: -1,
    clientAddress: '192.0.2.7',
    forwarded: { isTrusted: false, chain: '192.0.2.7', host: '', scheme: 'http' },
    ...rest,
  }
}

export function makeLocalVersion(model: string, name: string, index = 0): LocalVersion {
  return { kind: 'local', index, model, name, runtime: 'javascript', file: '/x.js', fileAsWritten: 'x.js' }
}

export function makeRemoteVersion(port: number, more: Partial<RemoteVersion> = {}): RemoteVersion {
  const endpoint = endpointAt('127.0.0.1', port)
  return {
    kind: 'remote',
    index: 0,
    model: 'fraud',
    name: 'v1',
    endpoints: [endpoint],
    balance: 'least-loaded',
    rename: { model: null, version: null },
    firstEndpoint: 0,
    health: null,
    slowStartMs: 0,
    ...more,
  }
}

export interface ModelParts extends Partial<Omit<Model, 'route' | 'versions'>> {
  readonly versions?: readonly string[]
  readonly route?: Partial<Route>
}

export function makeModel({ versions = ['v1', 'v2'], route = {}, ...more }: ModelParts = {}): Model {
  const name = more.name ?? 'fraud'
  const entries: [string, Version][] = versions.map((version, index) => [
    version,
    makeLocalVersion(name, version, index),
  ])
  return {
    index: 0,
    name,
    protocol: 'open-inference',
    key: [{ from: 'header', name: 'x-user-id' }, { from: 'client' }],
    timeouts: { queueMs: 50, connectMs: 250, firstByteMs: 1000, idleMs: 1000, totalMs: 2000 },
    stream: { keepAliveMs: 0 },
    rates: [],
    idempotency: null,
    cache: null,
    limits: { concurrent: 256, queue: 512, adaptive: false },
    priority: 'normal',
    auditMode: 'batched',
    retry: { attempts: 1, on: [], budget: 0, hedge: null },
    breaker: {
      windowMs: 10_000,
      minRequests: 20,
      failureRate: 0.5,
      slowAfterMs: 800,
      slowRate: 0.5,
      consecutive: 5,
      openForMs: 1000,
      openForMaxMs: 60_000,
      probes: 3,
      enforce: true,
    },
    onFailure: {
      timeout: [{ do: 'fail' }],
      breaker_open: [{ do: 'fail' }],
      overload: [{ do: 'fail' }],
      invalid_output: [{ do: 'fail' }],
      error: [{ do: 'fail' }],
    },
    output: [],
    compare: [],
    capture: null,
    versions: new Map(entries),
    ...more,
    route: {
      primary: versions[0]!,
      own: new Map(),
      rules: [],
      pinAllowed: false,
      experiment: null,
      shadows: [],
      ...route,
    },
  }
}

export function makeIntent(model: Model, more: Partial<Intent> = {}): Intent {
  return {
    model,
    protocol: model.protocol,
    operation: 'infer',
    pin: null,
    key: { source: 'header:x-user-id', value: 'user-1' },
    callers: { rates: [], idempotency: '', cache: '' },
    subject: '',
    idempotencyKey: null,
    deadlineAt: Number.POSITIVE_INFINITY,
    traceId: '',
    isShadow: false,
    rest: '',
    jsonLength: -1,
    selectsOutputs: false,
    ...more,
  }
}
