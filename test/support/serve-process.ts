/**
 * `modelgate serve` as an operator starts it: a process of its own, told by signals and understood by what
 * it prints. Killed when the test ends, whatever state it is in.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Test } from 'tap'
import { eventually } from './eventually.ts'

const MAIN = resolve(import.meta.dirname, '../../src/main.js')

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Surroundings {
  /** A command that becomes the one behind it (`nice -n 5`). */
  readonly within?: readonly string[]
  /** Of Node. */
  readonly flags?: readonly string[]
}

export class ServeProcess {
  readonly exited: Promise<Exit>
  stdout = ''
  stderr = ''
  readonly #child: ChildProcess
  #exit: Exit | undefined

  constructor(configFile: string, { within = [], flags = [] }: Surroundings = {}) {
    const serve = [process.execPath, ...flags, MAIN, 'serve', '--config', configFile]
    const [command = '', ...words] = [...within, ...serve]
    this.#child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout!.on('data', (text: Buffer) => {
      this.stdout += text.toString()
    })
    this.#child.stderr!.on('data', (text: Buffer) => {
      this.stderr += text.toString()
    })
    this.exited = new Promise((done) => {
      this.#child.on('close', (code, signal) => {
        this.#exit = { code, signal }
        done(this.#exit)
      })
    })
  }

  /** Resolves to the ports once it serves; rejects when it ended instead. */
  async ports(): Promise<{ readonly port: number; readonly adminPort: number }> {
    const said = await eventually(
      () => {
        if (this.#exit !== undefined) throw new Error(`ended with ${this.#exit.code}: ${this.stderr}`)
        return /serving on https?:\/\/\S+:(\d+), admin on port (\d+)/.exec(this.stdout) ?? undefined
      },
      { withinMs: 60_000, until: 'the gateway serves' },
    )
    return { port: Number(said[1]), adminPort: Number(said[2]) }
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  async kill(): Promise<Exit> {
    this.#child.kill('SIGKILL')
    return this.exited
  }
}

/** A configuration and its files in a directory of their own, which is removed when the test ends. */
export function writeSetup(
  t: Pick<Test, 'teardown'>,
  toml: string,
  files: Readonly<Record<string, string>> = {},
): { readonly configFile: string; readonly dataDir: string } {
  const directory = mkdtempSync(join(tmpdir(), 'modelgate-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const configFile = join(directory, 'gateway.toml')
  for (const [name, contents] of Object.entries({ ...files, 'gateway.toml': toml })) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), contents)
  }
  return { configFile, dataDir: join(directory, 'data') }
}

export function serve(
  t: Pick<Test, 'teardown'>,
  configFile: string,
  within: readonly string[] = [],
): ServeProcess {
  const process = new ServeProcess(configFile, { within })
  t.teardown(() => process.kill())
  return process
}
