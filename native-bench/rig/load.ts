/**
 * The generator with its endpoint (`c/load.c`) as a process on the core that is not measured. It is asked one thing at
 * a time and answers with one line each.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { atExit } from './at-exit.ts'
import { OTHER_CORE, spawnPinned } from './bench-process.ts'
import type { Told } from './histogram.ts'

/** One window: what was asked, answered, and what it cost. */
export interface Ran {
  readonly kind: 'ran'
  readonly seconds: number
  readonly sent: number
  readonly answered: number
  readonly perSecond: number
  readonly failed: number
  readonly wrongStatus: number
  readonly wrongBody: number
  readonly starved: number
  readonly dropped: number
  /** Still waiting long after the end: whoever was asked did not keep up. */
  readonly unanswered: number
  readonly opened: number
  /** The first thing that went wrong; empty when nothing did. */
  readonly problem: string
  readonly cpuNs: number
  readonly busiestThreadNs: number
  readonly coreBusyNs: number
  readonly coreStolenNs: number
  readonly latency: Told
  readonly lag: Told
  readonly endpoints: readonly EndpointCount[]
  readonly events?: number
  readonly firstEvent?: Told
  readonly eventDelay?: Told
  readonly eventStretch?: Told
}

export interface EndpointCount {
  readonly connections: number
  readonly requests: number
  readonly wrongBodies: number
}

export type Said =
  | Ran
  | { readonly kind: 'ready'; readonly ports: readonly number[] }
  | { readonly kind: 'counted'; readonly endpoints: readonly EndpointCount[] }
  | { readonly kind: 'held' | 'released' | 'refused' }

const ANSWER_MS_MAX = 120_000

export class Load {
  readonly #child: ChildProcess
  readonly #heard: Said[] = []
  #told: (() => void) | undefined
  #complaint = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    atExit(() => child.kill('SIGKILL'))
    createInterface({ input: child.stdout! }).on('line', (line) => {
      this.#heard.push(JSON.parse(line) as Said)
      this.#told?.()
    })
    child.stderr!.on('data', (text: Buffer) => {
      this.#complaint += text.toString()
    })
    child.on('exit', () => this.#told?.())
  }

  /** `places`: ports (0: any) and `unix:PATH`; resolves to the ports that they are, 0 for paths. */
  static async start(program: string, places: readonly string[]): Promise<[Load, readonly number[]]> {
    const load = new Load(spawnPinned(OTHER_CORE, [program, ...places], 'piped'))
    return [load, (await load.#next('ready')).ports]
  }

  run(words: string): Promise<Ran> {
    return this.#ask(`run ${words}`, 'ran')
  }

  async hold(words: string): Promise<void> {
    await this.#ask(`hold ${words}`, 'held')
  }

  async release(): Promise<void> {
    await this.#ask('release', 'released')
  }

  async count(): Promise<readonly EndpointCount[]> {
    return (await this.#ask('count', 'counted')).endpoints
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }

  #ask<K extends Said['kind']>(command: string, kind: K): Promise<Extract<Said, { kind: K }>> {
    this.#child.stdin!.write(`${command}\n`)
    return this.#next(kind)
  }

  async #next<K extends Said['kind']>(kind: K): Promise<Extract<Said, { kind: K }>> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), ANSWER_MS_MAX)
    while (this.#heard.length === 0 && this.#child.exitCode === null && this.#child.signalCode === null) {
      await new Promise<void>((resolve) => {
        this.#told = resolve
      })
    }
    clearTimeout(timer)
    const said = this.#heard.shift()
    if (said?.kind !== kind)
      throw new Error(
        `the generator said ${said?.kind ?? 'nothing'} (${this.#child.signalCode ?? this.#child.exitCode}): ${this.#complaint}`,
      )
    return said as Extract<Said, { kind: K }>
  }
}
