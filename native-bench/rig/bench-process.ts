/**
 * A process of the measurement on a core of its own: started pinned, asked one thing at a time, ended by its id.
 * Core numbers are the kernel's; on a machine with one core everything shares it and the results say so.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** What is measured runs here alone. */
export const MEASURED_CORE = 0
/** Generator and endpoint run here. */
export const OTHER_CORE = availableParallelism() > 1 ? 1 : 0

const ANSWER_MS_MAX = 120_000

const STDIO = {
  ipc: ['ignore', 'inherit', 'inherit', 'ipc'],
  text: ['ignore', 'pipe', 'pipe'],
  piped: ['pipe', 'pipe', 'pipe'],
} as const

/** Where a process may run: one core, or wherever there is room. */
export type Core = number | 'all'

export function spawnPinned(core: Core, command: readonly string[], stdio: keyof typeof STDIO): ChildProcess {
  const cores = core === 'all' ? `0-${availableParallelism() - 1}` : String(core)
  return spawn('taskset', ['-c', cores, ...command], { stdio: [...STDIO[stdio]] })
}

/**
 * Makes a running process, all its threads, one that no ordinary process can keep from its core (SCHED_RR, for root).
 * For latencies on a machine that has other things to do; among themselves they take turns as before.
 */
export function makeRealtime(process: number): void {
  execFileSync('chrt', ['--all-tasks', '--rr', '--pid', '1', String(process)])
}

/** A process of ours that speaks in messages; `To` and `From` are what it takes and gives. */
export class BenchProcess<To extends object, From extends { readonly kind: string }> {
  readonly #child: ChildProcess

  constructor(entry: string, settings: object, core = OTHER_CORE) {
    this.#child = spawnPinned(core, [process.execPath, entry, JSON.stringify(settings)], 'ipc')
  }

  /** Sends `message`, if any, and resolves to the next answer. A failure it tells, or its end, rejects. */
  ask<K extends From['kind']>(kind: K, message?: To): Promise<Extract<From, { kind: K }>> {
    return new Promise((resolve, reject) => {
      const child = this.#child
      const timer = setTimeout(() => settle(new Error(`no '${kind}' in time`)), ANSWER_MS_MAX)
      const settle = (result: From | Error): void => {
        clearTimeout(timer)
        child.off('message', heard)
        child.off('exit', ended)
        if (result instanceof Error) reject(result)
        else if (result.kind === kind) resolve(result as Extract<From, { kind: K }>)
        else reject(new Error(`said ${JSON.stringify(result).slice(0, 200)} instead of '${kind}'`))
      }
      const heard = (said: unknown): void => settle(said as From)
      const ended = (code: number | null): void => settle(new Error(`ended with ${code}`))
      child.on('message', heard)
      child.on('exit', ended)
      if (message !== undefined) child.send(message)
    })
  }

  get id(): number {
    return this.#child.pid!
  }

  end(): void {
    this.#child.kill('SIGKILL')
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
