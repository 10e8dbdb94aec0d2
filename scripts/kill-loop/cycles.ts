/**
 * One cycle after the other on one log: start, look whether what the cycles before did is in the log, load, kill. Every
 * number is drawn from the seed and the cycle's own number, so a cycle can be asked for by itself.
 */
import { execFile } from 'node:child_process'
import { appendFileSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { ServeProcess } from '../../test/support/serve-process.ts'
import { javascriptModel } from '../../test/support/start-gateway.ts'
import { Draw } from '../fuzz/draw.ts'
import { Callers } from './callers.ts'
import { MoodyModel } from './endpoint.ts'
import { Ledger } from './ledger.ts'

/** Models that reach the endpoint, and how sure their records are. */
const MODES = { durable: 'durable', batched: 'batched', loose: 'best-effort' } as const
const LOCAL = 'local'
const CYCLES_APART = 7919
/** At most so many answers are waited for, and no longer than so, and then for a moment. */
const ANSWERS_MAX = 200
const LOAD_MS_MAX = 4000
const MOMENT_MS_MAX = 150
const STARTING_MS_MAX = 1500

function configOf(port: number): string {
  const remote = Object.entries(MODES).map(([name, mode]) =>
    [
      `[models.${name}]\nprotocol = "raw"`,
      `[models.${name}.audit]\nmode = "${mode}"`,
      `[models.${name}.breaker]\nenforce = false`,
      `[models.${name}.versions.v1]\nendpoints = ["http://127.0.0.1:${port}"]`,
      `[models.${name}.versions.v2]\nendpoints = ["http://127.0.0.1:${port}"]`,
      `[models.${name}.route]\nprimary = "v1"\nshadows = [{ version = "v2", percent = 20 }]`,
    ].join('\n'),
  )
  const server = '[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nlanes = 2\n[scoring]\nthreads = 1'
  const local = `[models.${LOCAL}]\n[models.${LOCAL}.versions.v1]\nruntime = "javascript"\nfile = "plus.js"`
  return [server, local, ...remote].join('\n')
}

const MAIN = resolve(import.meta.dirname, '../../src/main.js')

/** As an auditor asks, beside the running gateway, with what callers kept; empty when all is well. */
function verify(dataDir: string, receipts: string): Promise<string> {
  const witness = existsSync(receipts) ? ['--witness', receipts] : []
  const command = [MAIN, 'audit', 'verify', '--data', dataDir, ...witness]
  return new Promise((done) => {
    execFile(process.execPath, command, (error, stdout, stderr) =>
      done(error === null ? '' : `audit verify: ${error.message}\n${stdout}${stderr}`),
    )
  })
}

export class KillLoop {
  readonly directory: string
  readonly broken: string[] = []
  readonly #seed: number
  readonly #endpoint: MoodyModel
  readonly #ledger: Ledger
  readonly #counts = { killed: 0, killedStarting: 0, stopping: 0 }

  private constructor(seed: number, directory: string, endpoint: MoodyModel) {
    this.#seed = seed
    this.directory = directory
    this.#endpoint = endpoint
    this.#ledger = new Ledger(
      join(directory, 'data'),
      (model) => MODES[model as keyof typeof MODES] ?? 'batched',
    )
  }

  static async open(seed: number): Promise<KillLoop> {
    const endpoint = new MoodyModel(new Draw(seed))
    const port = await endpoint.open()
    const directory = mkdtempSync(join(tmpdir(), 'modelgate-kill-loop-'))
    writeFileSync(join(directory, 'gateway.toml'), configOf(port))
    writeFileSync(join(directory, 'plus.js'), javascriptModel('row[0] + 1'))
    return new KillLoop(seed, directory, endpoint)
  }

  get summary(): string {
    return JSON.stringify({ ...this.#counts, ...this.#ledger.counts })
  }

  async run(cycle: number): Promise<void> {
    const draw = new Draw(this.#seed + cycle * CYCLES_APART)
    const gateway = this.#start()
    try {
      if (draw.happens(0.15)) {
        await pause(draw.next() * STARTING_MS_MAX)
        this.#counts.killedStarting += 1
      } else {
        const { port } = await gateway.ports()
        await this.#check(`at the start of cycle ${cycle}`)
        await this.#load(gateway, port, draw)
      }
    } catch (error) {
      this.broken.push(`cycle ${cycle}: ${(error as Error).message}`)
    }
    await gateway.kill()
  }

  /** Looks once more, and ends in order. */
  async close(): Promise<void> {
    if (this.broken.length === 0) {
      const gateway = this.#start()
      await gateway.ports()
      await this.#check('at the end')
      gateway.signal('SIGTERM')
      const { code } = await gateway.exited
      if (code !== 0) this.broken.push(`the last stop ended with ${code}: ${gateway.stderr}`)
      await this.#check('after the end')
    }
    this.#endpoint.close()
  }

  /** Of all durable answers, one a line. */
  get #receipts(): string {
    return join(this.directory, 'receipts')
  }

  #start(): ServeProcess {
    return new ServeProcess(join(this.directory, 'gateway.toml'))
  }

  async #load(gateway: ServeProcess, port: number, draw: Draw): Promise<void> {
    const callers = new Callers(draw)
    const remote = Object.keys(MODES)
    const asking = callers.ask({ port, callers: 1 + draw.upTo(23), remote, local: LOCAL })
    // Few as often as many: what is cold at first and what is in full flow die alike.
    const enough = Math.floor(ANSWERS_MAX ** draw.next())
    const until = performance.now() + LOAD_MS_MAX
    while (callers.answered.length < enough && performance.now() < until) await pause(2)
    await pause(draw.next() * MOMENT_MS_MAX)
    if (draw.happens(0.1)) {
      gateway.signal('SIGTERM')
      this.#counts.stopping += 1
      await pause(draw.next() * 200)
    }
    await gateway.kill()
    this.#counts.killed += 1
    callers.stop()
    await asking
    this.#ledger.expect(callers.answered, this.#endpoint.seen)
    const receipts = callers.answered.map(({ receipt }) => receipt).filter((receipt) => receipt !== '')
    if (receipts.length > 0) appendFileSync(this.#receipts, `${receipts.join('\n')}\n`)
    this.#endpoint.seen.clear()
  }

  async #check(when: string): Promise<void> {
    const verdict = await verify(join(this.directory, 'data'), this.#receipts)
    if (verdict !== '') this.broken.push(`${when}: ${verdict}`)
    for (const words of await this.#ledger.check()) this.broken.push(`${when}: ${words}`)
  }
}
