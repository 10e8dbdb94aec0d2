/**
 * What the campaign of the request side plays on: a real gateway in a process of its own, so that its death is seen
 * and survived, and a recording endpoint for each of three dialects. Once stopped, its log tells what it recorded.
 */
import { Buffer } from 'node:buffer'
import { decisionsIn } from '../../test/support/read-records.ts'
import { ServeProcess, writeSetup } from '../../test/support/serve-process.ts'
import type { Told } from './judge-requests.ts'
import { type Received, RecordingEndpoint } from './recording-endpoint.ts'
import { GATEWAYS, type GatewayRules } from './request-cases.ts'

/** No endpoint of the campaign is slow: a machine that stalls is not its subject. */
const PATIENT = '{ queue = "9s", connect = "9s", first_byte = "9s", idle = "9s", total = "9s" }'

const toml = (urls: readonly string[], { chunkedAccepted }: GatewayRules): string => `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
data_dir = "data"
grace = "1s"
limits = { body = "64KiB"${chunkedAccepted ? ', chunked_requests = "accept"' : ''} }
[models.api]
protocol = "raw"
timeouts = ${PATIENT}
[models.api.versions.v1]
endpoints = ["${urls[0]}"]
[models.m]
timeouts = ${PATIENT}
[models.m.versions.v1]
endpoints = ["${urls[1]}"]
[models.m.route]
primary = "v1"
pin = true
[models.gpt]
protocol = "openai"
timeouts = ${PATIENT}
[models.gpt.versions.v1]
endpoints = ["${urls[2]}"]
`

interface Running {
  readonly port: number
  readonly process: ServeProcess
  readonly dataDir: string
}

export class RequestStage {
  /** Why a gateway ended before it was told to; empty while they live. */
  death = ''
  readonly #gateways: readonly Running[]
  readonly #endpoints: readonly RecordingEndpoint[]
  readonly #ends: readonly (() => unknown)[]

  private constructor(
    gateways: readonly Running[],
    endpoints: readonly RecordingEndpoint[],
    ends: readonly (() => unknown)[],
  ) {
    this.#gateways = gateways
    this.#endpoints = endpoints
    this.#ends = ends
    for (const { process } of gateways) {
      void process.exited.then(({ code, signal }) => {
        this.death = `ended with ${code ?? signal}: ${process.stderr.slice(-2_000)}`
      })
    }
  }

  static async open(): Promise<RequestStage> {
    const endpoints = await Promise.all([
      RecordingEndpoint.start('raw'),
      RecordingEndpoint.start('open-inference'),
      RecordingEndpoint.start('openai'),
    ])
    const urls = endpoints.map(({ port }) => `http://127.0.0.1:${port}`)
    const ends: (() => unknown)[] = []
    const scope = { teardown: (end: () => unknown) => void ends.push(end) }
    const gateways = await Promise.all(
      GATEWAYS.map(async (rules) => {
        const { configFile, dataDir } = writeSetup(scope, toml(urls, rules))
        const process = new ServeProcess(configFile)
        return { process, dataDir, port: (await process.ports()).port }
      }),
    )
    return new RequestStage(gateways, endpoints, ends)
  }

  portFor(caseNumber: number): number {
    return this.#gateways[caseNumber % this.#gateways.length]!.port
  }

  /** What endpoints got from this caller since it was last asked. */
  take(address: string): Received[] {
    return this.#endpoints.flatMap((endpoint) => endpoint.take(address))
  }

  /** Stops everything; the laws of the whole run that were broken. */
  async close(told: readonly Told[]): Promise<string[]> {
    const broken = this.#endpoints.flatMap(({ problems }) => problems.map((one) => `forwarded badly: ${one}`))
    if (this.death !== '') broken.push(`the gateway ${this.death}`)
    for (const { process } of this.#gateways) {
      const said = `${process.stdout}${process.stderr}`
      broken.push(...said.split('\n').filter((line) => /\bbug\b/i.test(line)))
      process.signal('SIGTERM')
      const { code, signal } = await process.exited
      if (code !== 0)
        broken.push(`the gateway stopped with ${code ?? signal}: ${process.stderr.slice(-2_000)}`)
    }
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.close()))
    const logs = await Promise.all(this.#gateways.map(({ dataDir }) => decisionsIn(dataDir)))
    broken.push(...recordsAgainst(told, logs.flat()))
    for (const end of this.#ends) end()
    return broken
  }
}

/** Each answer with an id has exactly one decision, which says the same. */
function recordsAgainst(told: readonly Told[], decisions: Awaited<ReturnType<typeof decisionsIn>>): string[] {
  const byId = new Map<string, { status: number; code: string; count: number }>()
  for (const { id, status, fault } of decisions) {
    const count = (byId.get(id)?.count ?? 0) + 1
    byId.set(id, { status, code: fault?.code ?? '', count })
  }
  const broken = new Set<string>()
  for (const { id, status, code, isRecorded } of told) {
    const record = byId.get(id)
    if (record === undefined) {
      if (isRecorded) broken.add(`no record of an answer ${status} ${code}`)
    } else if (!isRecorded) broken.add('a record of an answer of the gateway about itself')
    else if (record.count !== 1) broken.add(`${record.count} records of one request`)
    else if (record.status !== status || record.code !== code) {
      broken.add(`recorded as ${record.status} ${record.code}, answered ${status} ${code}`)
    }
  }
  return [...broken]
}

export function escaped(bytes: Buffer): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replace(/[^ -[\]-~]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
    .replaceAll('\\x0d\\x0a', '\\r\\n')
}
