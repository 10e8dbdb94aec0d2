/** A small configuration for tests of the vitals: two models, three versions, everything routed. */
import type { BreakerSettings, Model, Snapshot } from '../../src/domain/routes.ts'
import { makeLocalVersion, makeModel } from '../support/make-model.ts'

export function makeSnapshot(breaker: Partial<BreakerSettings> = {}): Snapshot {
  const fraud = withVersions(
    makeModel({
      name: 'fraud',
      limits: { concurrent: 2, queue: 2, adaptive: false },
      onFailure: {
        timeout: [{ do: 'version', version: 'v1' }, { do: 'fail' }],
        breaker_open: [{ do: 'version', version: 'v1' }, { do: 'fail' }],
        overload: [{ do: 'fail' }],
        invalid_output: [{ do: 'fail' }],
        error: [{ do: 'fail' }],
      },
      route: {
        primary: 'v1',
        own: new Map([['canary', { version: 'v2', percent: 10 }]]),
        shadows: [{ version: 'v2', percent: 100, concurrentMax: 4, timeoutMs: 1000 }],
      },
    }),
    0,
    [
      ['v1', 0],
      ['v2', 1],
    ],
    breaker,
  )
  const price = withVersions(makeModel({ name: 'price' }), 1, [['v1', 2]], breaker)
  return {
    generation: 3,
    hash: 'c0ffee'.repeat(10),
    server: {
      listen: { host: '127.0.0.1', port: 8080 },
      admin: { host: '127.0.0.1', port: 9090 },
      lanes: 2,
      dataDir: '/data',
      bodyBytesMax: 1024,
      headerBytesMax: 4096,
      connectionsMax: 100,
      memoryBytesMax: null,
      chunkedAccepted: false,
      trust: [],
      graceMs: 1000,
      drainDelayMs: 0,
      sharesPort: false,
      tls: null,
    },
    audit: {
      mode: 'batched',
      strictest: 'batched',
      retentionMs: null,
      isHeld: false,
      digestBytesMax: 1024 * 1024,
    },
    scoring: { threads: 1, queueMax: 16 },
    reasons: ['rule', 'pin', 'experiment', 'canary', 'primary', 'fallback'],
    models: new Map([
      ['fraud', fraud],
      ['price', price],
    ]),
    versions: [...fraud.versions.values(), ...price.versions.values()],
    rates: [],
  }
}

function withVersions(
  model: Model,
  index: number,
  versions: readonly (readonly [string, number])[],
  breaker: Partial<BreakerSettings>,
): Model {
  return {
    ...model,
    index,
    breaker: { ...model.breaker, ...breaker },
    versions: new Map(versions.map(([name, at]) => [name, makeLocalVersion(model.name, name, at)])),
  }
}
