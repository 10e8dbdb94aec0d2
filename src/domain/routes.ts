/**
 * The compiled configuration: what a request holds for its whole life. Plain frozen data, so it can
 * cross to another thread; nothing in it is optional, all units are in the names.
 *
 * Made by control/config/compile.ts only. `index` fields number models and versions densely from 0,
 * so that counters and histograms live in flat arrays instead of maps keyed by labels.
 */
import type { Settings } from './settings.ts'

export interface Snapshot {
  /** 1 for the first configuration of a process, +1 for each swap. */
  readonly generation: number
  /** SHA-256 (hex) of the canonical form of the checked configuration, defaults filled in. */
  readonly hash: string
  readonly server: ServerSettings
  readonly audit: AuditSettings
  readonly scoring: ScoringSettings
  /** Every reason a version can be served for, in order of precedence; the last is `fallback`. */
  readonly reasons: readonly string[]
  readonly models: ReadonlyMap<string, Model>
  /** Every version of every model; `versions[i].index === i`. */
  readonly versions: readonly Version[]
  /** Every rate limit, the server's and the models'; `rates[i].index === i`. */
  readonly rates: readonly RateLimit[]
}

export interface ServerSettings {
  readonly listen: HostPort
  readonly admin: HostPort
  /** ≥ 1; "auto" is already resolved. */
  readonly lanes: number
  /** Absolute path. */
  readonly dataDir: string
  readonly bodyBytesMax: number
  readonly headerBytesMax: number
  readonly connectionsMax: number
  /** Bodies under way, over all lanes; null: what the machine leaves. */
  readonly memoryBytesMax: number | null
  /** Bodies without a length are read; otherwise answered 411. */
  readonly chunkedAccepted: boolean
  /** Addresses and ranges whose forwarding headers are believed. */
  readonly trust: readonly string[]
  /** How long a stop waits for requests in flight. */
  readonly graceMs: number
  /** How long a stop serves callers as before while readiness says no already. */
  readonly drainDelayMs: number
  /** Another gateway may listen on the same port. */
  readonly sharesPort: boolean
  /** Null: plain HTTP. */
  readonly tls: ServerTls | null
}

/** Names of files and never their contents: those change while the gateway runs, and one of them is secret. */
export interface ServerTls {
  /** Absolute paths. */
  readonly certFile: string
  readonly keyFile: string
  /** Null: clients need no certificate. */
  readonly clientCaFile: string | null
  readonly minVersion: '1.2' | '1.3'
}

export interface HostPort {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
}

/**
 * How sure a record is before its answer leaves. `durable`: it is on the disk. `batched`: it is written, and
 * synced soon. `best-effort`: the answer leaves whatever becomes of the record.
 */
export type AuditMode = 'durable' | 'batched' | 'best-effort'

export interface AuditSettings {
  /** Of requests whose model is not known. */
  readonly mode: AuditMode
  /** The one of all models' that asks most of the disk: what this gateway is not ready without. */
  readonly strictest: AuditMode
  /** A larger body gets no digest. */
  readonly digestBytesMax: number
  /** Null: records are kept for ever. */
  readonly retentionMs: number | null
  /** Nothing is deleted. */
  readonly isHeld: boolean
}

/** Bodies that are kept, redacted and encrypted. */
export interface CaptureSettings {
  /** Of requests; above 0, at most 1. */
  readonly share: number
  /** JSON pointers to what is blanked; `*` stands for every member. */
  readonly redact: readonly string[]
  /** Whom a body is about: the first source that is present; nobody where none is. */
  readonly subject: readonly KeySource[]
  /** Of each body; a larger one is not kept. */
  readonly bytesMax: number
}

export interface ScoringSettings {
  /** Piscina threads over all lanes, ≥ 1. */
  readonly threads: number
  /** Requests waiting for a scoring thread, over all lanes. */
  readonly queueMax: number
}

/** A name in the list of dialects (protocols/index.ts). */
export type ProtocolName = string

export interface Model {
  readonly index: number
  readonly name: string
  readonly protocol: ProtocolName
  readonly key: readonly KeySource[]
  readonly timeouts: Timeouts
  readonly stream: StreamSettings
  readonly limits: ModelLimits
  /** What one caller may ask: the model's own limits, then those of the server. All of them hold. */
  readonly rates: readonly RateLimit[]
  /** Null: an Idempotency-Key means nothing to the gateway and is passed on like any header. */
  readonly idempotency: IdempotencySettings | null
  readonly cache: CacheSettings | null
  /** Who goes without first when the gateway is short of time or memory. */
  readonly priority: 'high' | 'normal' | 'low'
  readonly auditMode: AuditMode
  readonly retry: RetrySettings
  readonly breaker: BreakerSettings
  readonly onFailure: Readonly<Record<ConsequenceKey, readonly Consequence[]>>
  readonly output: readonly OutputCheck[]
  readonly route: Route
  readonly compare: readonly CompareRule[]
  /** Null: no body is kept. */
  readonly capture: CaptureSettings | null
  readonly versions: ReadonlyMap<string, Version>
}

/** `header:x-user-id`, `body:/parameters/user_id`, `client` (address), `random`. */
export type KeySource =
  | { readonly from: 'header'; readonly name: string }
  | { readonly from: 'body'; readonly pointer: string }
  | { readonly from: 'client' }
  | { readonly from: 'random' }

/** All in ms. Each bounds one attempt; the caller's deadline caps them all. */
export interface Timeouts {
  readonly queueMs: number
  readonly connectMs: number
  readonly firstByteMs: number
  readonly idleMs: number
  readonly totalMs: number
}

/** Of answers that are streams of events. */
export interface StreamSettings {
  /** Between two comments to a caller that waits for the first content; 0: none are sent. */
  readonly keepAliveMs: number
}

export interface ModelLimits {
  /** Over all lanes. */
  readonly concurrent: number
  readonly queue: number
  /** The limit is found from latency; `concurrent` is the most it may be. */
  readonly adaptive: boolean
}

/** A bucket for each caller: full with `burst` requests, filled again by `requests` in `perMs`. */
export interface RateLimit {
  readonly index: number
  /** As callers read it in RateLimit headers. */
  readonly name: string
  readonly requests: number
  readonly perMs: number
  readonly burst: number
  /** Who is one caller: the first source that is present; where none is, the client's address. */
  readonly by: readonly KeySource[]
}

/** Answers to requests with an Idempotency-Key are kept for repeats of them. */
export interface IdempotencySettings {
  readonly ttlMs: number
  /** Over all lanes. */
  readonly bytesMax: number
  readonly by: readonly KeySource[]
}

/** Answers are kept for equal questions. */
export interface CacheSettings {
  readonly ttlMs: number
  /** Over all lanes. */
  readonly bytesMax: number
  readonly by: readonly KeySource[]
  /** What else of the request an answer depends on. */
  readonly vary: readonly KeySource[]
  /** One caller gets what another was answered. */
  readonly shared: boolean
}

export interface RetrySettings {
  /** Tries at one version in all; 1: none is repeated. */
  readonly attempts: number
  /** `connect`, `reset`, `timeout`, or a 5xx status. */
  readonly on: readonly string[]
  /** Retries for each request, 0 to 1. */
  readonly budget: number
  /** Null: no request is sent twice because it is late. */
  readonly hedge: HedgeSettings | null
}

/** A second copy beside a request that is late. */
export interface HedgeSettings {
  readonly after:
    | { readonly is: 'fixed'; readonly ms: number }
    /** Of the time in which the version's answers began lately; above 0, below 1. */
    | { readonly is: 'quantile'; readonly quantile: number }
  /** Second copies for each request, 0 to 1. */
  readonly budget: number
}

export interface BreakerSettings {
  readonly windowMs: number
  readonly minRequests: number
  /** 0–1; 1 or more never trips on the rate alone unless all failed. */
  readonly failureRate: number
  readonly slowAfterMs: number
  readonly slowRate: number
  readonly consecutive: number
  readonly openForMs: number
  readonly openForMaxMs: number
  readonly probes: number
  /** false: decides and reports as if, but lets everything through (dry-run). */
  readonly enforce: boolean
}

export type ConsequenceKey = 'timeout' | 'breaker_open' | 'overload' | 'invalid_output' | 'error'

export type Consequence =
  | { readonly do: 'version'; readonly version: string }
  /** A fixed answer read at load; `file` is the path as written in the configuration. */
  | { readonly do: 'reply'; readonly file: string; readonly contentType: string; readonly body: Uint8Array }
  | { readonly do: 'fail' }

export interface OutputCheck {
  readonly name: string
  readonly pointer: string
  readonly type: 'number' | 'integer' | 'string' | 'boolean'
  readonly min: number
  readonly max: number
}

export interface CompareRule {
  readonly pointer: string
  readonly as: 'number' | 'label'
  readonly toleranceAbs: number
  readonly toleranceRel: number
}

export interface Route {
  readonly primary: string
  /** Tables of strategies that declare their own form, by the strategy's reason (`canary`, …). */
  readonly own: ReadonlyMap<string, Settings>
  readonly rules: readonly Rule[]
  readonly pinAllowed: boolean
  readonly experiment: Experiment | null
  readonly shadows: readonly Shadow[]
}

export interface Rule {
  readonly when: { readonly header: string; readonly test: RuleTest }
  readonly version: string
}

export type RuleTest =
  | { readonly is: 'equals'; readonly value: string }
  | { readonly is: 'prefix'; readonly value: string }
  | { readonly is: 'in'; readonly values: readonly string[] }
  | { readonly is: 'present' }

export interface Experiment {
  readonly name: string
  /** By name in code-unit order, however they are written; percents sum to 100. */
  readonly arms: readonly { readonly version: string; readonly percent: number }[]
}

export interface Shadow {
  readonly version: string
  readonly percent: number
  readonly concurrentMax: number
  readonly timeoutMs: number
}

export type Version = RemoteVersion | LocalVersion

interface VersionBase {
  /** Over all models. */
  readonly index: number
  readonly model: string
  readonly name: string
}

export interface RemoteVersion extends VersionBase {
  readonly kind: 'remote'
  readonly endpoints: readonly Endpoint[]
  /** Number of its first endpoint, over all versions; the others follow in their order. */
  readonly firstEndpoint: number
  /** A name in the list of ways to spread requests over them (forward/balance/index.ts). */
  readonly balance: string
  /** null: its endpoints are not asked whether they are well. */
  readonly health: HealthSettings | null
  /** How long an endpoint that comes back has less than its share; 0: not at all. */
  readonly slowStartMs: number
  /** What the endpoint calls the model and version; null: our own model name, and no version. */
  readonly rename: { readonly model: string | null; readonly version: string | null }
}

export interface HealthSettings {
  /** Path and query. */
  readonly path: string
  readonly intervalMs: number
  /** Of the whole question; at most `intervalMs`. */
  readonly timeoutMs: number
  /** Good answers in a row that make an unhealthy endpoint healthy, and bad ones that make a healthy one unhealthy. */
  readonly healthy: number
  readonly unhealthy: number
  /** Status codes that are good answers; empty: 200 to 299. */
  readonly expect: readonly number[]
}

export interface Endpoint {
  /** As people read it: `http://10.0.0.11:8000`, `https://models.example`, `unix:/run/model.sock`. */
  readonly url: string
  /** Endpoints with equal keys share connections: the URL, and what else decides what a connection is. */
  readonly key: string
  /** A name or an address; empty for `unix:`. */
  readonly host: string
  readonly port: number
  /** Value of the Host header towards it. */
  readonly authority: string
  /** Absolute; null unless `unix:`. */
  readonly socketPath: string | null
  /** null: in the clear. */
  readonly tls: EndpointTls | null
  /** Refuse to connect to a private address, whatever the name says. */
  readonly denyPrivate: boolean
  /** Requests that may be under way on one connection; 1 is no pipelining. */
  readonly pipeline: number
}

export interface EndpointTls {
  /** PEM of the authorities that are trusted instead of the system's; null: the system's. */
  readonly ca: string | null
  /** PEM of our certificate and its key, for endpoints that ask for one; both or neither. */
  readonly cert: string | null
  readonly key: string | null
  /** The name that is asked for (SNI) and that the certificate must have. */
  readonly serverName: string
  /** false: any certificate of anybody is taken. */
  readonly verify: boolean
}

export interface LocalVersion extends VersionBase {
  readonly kind: 'local'
  /** A name in the list of runtimes (workers/runtimes/index.ts). */
  readonly runtime: string
  /** Absolute path. */
  readonly file: string
  /** As written in the configuration, for messages. */
  readonly fileAsWritten: string
}
