/** A snapshot of local versions for tests of scoring, and a way to call them. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AttemptResult } from '../../src/domain/outcome.ts'
import type { LocalVersion, Model, Snapshot, Timeouts } from '../../src/domain/routes.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { Sweep } from '../../src/kernel/sweep.ts'
import { Scorer, type ScorerParts } from '../../src/score/scorer.ts'
import { eventually } from './eventually.ts'

export const TIMEOUTS: Timeouts = {
  queueMs: 30_000,
  connectMs: 250,
  firstByteMs: 30_000,
  idleMs: 30_000,
  totalMs: 30_000,
}

/** One model called `digits`, its versions as given: name → file. */
export function snapshotOf(files: Readonly<Record<string, string>>): Snapshot {
  const versions = Object.entries(files).map(
    ([name, file], index): LocalVersion => ({
      kind: 'local',
      index,
      model: 'digits',
      name,
      runtime: file.endsWith('.onnx') ? 'onnx' : 'javascript',
      file,
      fileAsWritten: `models/${file.split('/').at(-1)}`,
    }),
  )
  const model = {
    name: 'digits',
    route: { pinAllowed: true },
    versions: new Map(versions.map((version) => [version.name, version])),
  }
  return { versions, models: new Map([['digits', model as unknown as Model]]) } as unknown as Snapshot
}

/** Where the code of a model waits until the test has done what is to happen meanwhile, however slow the machine is. */
export class Hold {
  readonly imports = `import { existsSync, writeFileSync } from 'node:fs'`
  /** For the body of `score`. */
  readonly code: string
  readonly #begun: string
  readonly #go: string

  constructor(folder: string) {
    this.#begun = join(folder, 'begun')
    this.#go = join(folder, 'go')
    const nap = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)'
    this.code = `writeFileSync('${this.#begun}', ''); while (!existsSync('${this.#go}')) ${nap};`
  }

  async begun(): Promise<void> {
    await eventually(() => existsSync(this.#begun), { withinMs: 30_000, until: 'the model is held' })
  }

  release(): void {
    writeFileSync(this.#go, '')
  }
}

export class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), 'modelgate-score-'))
  readonly clock = systemClock
  readonly sweep = new Sweep(systemClock)
  scorer!: Scorer
  snapshot!: Snapshot

  async start(files: Readonly<Record<string, string>>, more: Partial<ScorerParts> = {}): Promise<Scorer> {
    this.snapshot = snapshotOf(files)
    const { snapshot, clock, sweep } = this
    this.scorer = new Scorer({ snapshot, clock, sweep, threads: 1, queueMax: 256, ...more })
    await this.scorer.start()
    return this.scorer
  }

  version(name: string): LocalVersion {
    return this.snapshot.versions.find((version) => version.name === name) as LocalVersion
  }

  infer(
    name: string,
    body: unknown,
    more: { timeouts?: Partial<Timeouts>; deadlineAt?: number; jsonLength?: number; isShadow?: boolean } = {},
  ): Promise<AttemptResult> {
    const limits = {
      timeouts: { ...TIMEOUTS, ...more.timeouts },
      deadlineAt: more.deadlineAt ?? Number.POSITIVE_INFINITY,
    }
    const bytes = body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body))
    return new Promise((resolve) => {
      this.scorer.submit(
        {
          version: this.version(name),
          operation: 'infer',
          body: bytes,
          jsonLength: more.jsonLength ?? -1,
          limits,
          isShadow: more.isShadow ?? false,
        },
        resolve,
      )
    })
  }

  metadata(name: string): Promise<AttemptResult> {
    return new Promise((resolve) => {
      const limits = { timeouts: TIMEOUTS, deadlineAt: Number.POSITIVE_INFINITY }
      const body = new Uint8Array()
      this.scorer.submit(
        { version: this.version(name), operation: 'metadata', body, jsonLength: -1, limits, isShadow: false },
        resolve,
      )
    })
  }

  async close(): Promise<void> {
    await this.scorer?.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export function jsonOf(result: AttemptResult): Record<string, unknown> {
  if (result.answer === null) throw new Error(`no answer: ${result.fault?.code}: ${result.fault?.message}`)
  return JSON.parse(Buffer.from(result.answer.body).toString('utf8'))
}

/** The values of the first output. */
export function valuesOf(result: AttemptResult): unknown[] {
  return (jsonOf(result).outputs as { data: unknown[] }[])[0]!.data
}

export function rowsRequest(rows: readonly (readonly number[])[], more: object = {}): object {
  const shape = [rows.length, rows[0]!.length]
  return { inputs: [{ name: 'x', datatype: 'FP32', shape, data: rows.flat() }], ...more }
}
