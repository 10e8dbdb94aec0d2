/**
 * Everything the demo needs running: the model server as a process of its own, then the gateway in this
 * one. Both, or neither with the reason in words; `clear` ends both in the order that lets requests under
 * way finish.
 */
import { dirname, join, relative } from 'node:path'
import { type Gateway, startGateway } from '../../compose.ts'
import { loadConfig } from '../../control/config/load.ts'
import { probePort } from '../../control/port-probe.ts'
import type { HostPort, RemoteVersion, Snapshot } from '../../domain/routes.ts'
import type { Clock } from '../../kernel/clock.ts'
import { packageVersion } from '../package-version.ts'
import { ModelServer } from './model-server.ts'

export interface StageOptions {
  readonly configFile: string
  readonly modelServerFile: string
  /** Cores to plan threads for. */
  readonly cores: number
  readonly clock: Clock
  log(line: string): void
}

export interface Stage {
  readonly snapshot: Snapshot
  readonly gateway: Gateway
  readonly modelServer: ModelServer
  readonly inference: HostPort
  readonly admin: HostPort
  /** The version that the model server answers for. */
  readonly remote: RemoteVersion
  /** Resolves when either part is lost; never otherwise. */
  readonly failed: Promise<Error>
  clear(cause: string): Promise<{ readonly abandoned: number }>
}

/** Why there is no stage; `invalid`: that configuration does not load, ask `check` for the words. */
export interface NoStage {
  readonly problem: string
  readonly invalid: string | null
}

/** `configFile` beside what must be there for the replay. */
export async function setStage(options: StageOptions): Promise<Stage | NoStage> {
  const { configFile, modelServerFile, cores, clock } = options
  const [front, behind] = [configFile, modelServerFile].map((file) =>
    loadConfig(file, { generation: 1, cores }),
  )
  if (!front?.ok) return { problem: `${configFile} does not load`, invalid: configFile }
  if (!behind?.ok) return { problem: `${modelServerFile} does not load`, invalid: modelServerFile }
  const { snapshot } = front
  const { server } = behind.snapshot
  const remote = remoteAt(snapshot, server.listen)
  if (remote === undefined) {
    const at = `${server.listen.host}:${server.listen.port}`
    return no(`no version in ${configFile} has its endpoint at ${at}, where ${modelServerFile} listens`)
  }
  const taken = await takenPort([
    [configFile, snapshot],
    [modelServerFile, behind.snapshot],
  ])
  if (taken !== null) return no(taken)
  const modelServer = new ModelServer(modelServerFile, server.admin)
  try {
    await modelServer.start(clock)
    const start = await startGateway({ snapshot, version: packageVersion(), configFile, log: options.log })
    if (start.ok) return stageOf(snapshot, remote, start.gateway, modelServer)
    await modelServer.stop()
    return no(start.problem)
  } catch (error) {
    await modelServer.stop()
    return no((error as Error).message)
  }
}

export function isStage(value: Stage | NoStage): value is Stage {
  return 'gateway' in value
}

/** Where the models lie that a configuration beside them serves. */
export function modelsBeside(configFile: string): string {
  return join(dirname(configFile), 'models')
}

/** As a person in this directory would write it. */
export function asTyped(file: string): string {
  const path = relative(process.cwd(), file)
  return path === '' ? '.' : path
}

function no(problem: string): NoStage {
  return { problem, invalid: null }
}

function remoteAt(snapshot: Snapshot, { port }: HostPort): RemoteVersion | undefined {
  return snapshot.versions.find(
    (version): version is RemoteVersion =>
      version.kind === 'remote' && version.endpoints.some((endpoint) => endpoint.port === port),
  )
}

async function takenPort(files: readonly (readonly [string, Snapshot])[]): Promise<string | null> {
  for (const [file, { server }] of files) {
    const taken =
      (await probePort(server.listen, 'server.listen')) ?? (await probePort(server.admin, 'server.admin'))
    if (taken !== null) return `${taken} in ${file}. ${findHolder(server)}`
  }
  return null
}

/** A demo that was killed in a slow spell leaves a stopped process, which holds its ports and answers nobody. */
function findHolder({ listen, admin }: Snapshot['server']): string {
  const ports = `( sport = :${listen.port} or sport = :${admin.port} )`
  return `Who has it: ss -ltnp '${ports}'; a process in state T (ps -o pid,stat,args) is left from a demo that was killed: kill -9 it`
}

function stageOf(
  snapshot: Snapshot,
  remote: RemoteVersion,
  gateway: Gateway,
  modelServer: ModelServer,
): Stage {
  const { listen, admin } = snapshot.server
  return {
    snapshot,
    gateway,
    modelServer,
    remote,
    inference: { host: listen.host, port: gateway.inferencePort },
    admin: { host: admin.host, port: gateway.adminPort },
    failed: Promise.race([gateway.failed, modelServer.failed]),
    async clear(cause) {
      try {
        return await gateway.stop(cause)
      } finally {
        await modelServer.stop()
      }
    },
  }
}
