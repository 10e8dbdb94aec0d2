/**
 * CPU time of processes from the kernel's scheduler, in nanoseconds, thread by thread: `/proc/<pid>/stat` counts in
 * ticks of 10 ms and samples who is running, this does not. Linux only.
 */
import { readdirSync, readFileSync } from 'node:fs'

/** Thread id → ns on a CPU since it began. */
export type CpuTime = ReadonlyMap<number, number>

export function cpuTime(processes: readonly number[]): CpuTime {
  const times = new Map<number, number>()
  for (const id of processes) {
    for (const thread of readdirSync(`/proc/${id}/task`)) {
      const [onCpu] = readFileSync(`/proc/${id}/task/${thread}/schedstat`, 'utf8').split(' ')
      times.set(Number(thread), Number(onCpu))
    }
  }
  return times
}

/** ns of all threads between two readings. Threads that ended in between are not seen. */
export function spentBetween(before: CpuTime, after: CpuTime): number {
  let spent = 0
  for (const [thread, time] of after) spent += time - (before.get(thread) ?? 0)
  return spent
}

/** The thread that did most of the work between two readings. */
export function busiestBetween(before: CpuTime, after: CpuTime): number {
  let busiest = -1
  let most = -1
  for (const [thread, time] of after) {
    const spent = time - (before.get(thread) ?? 0)
    if (spent > most) [busiest, most] = [thread, spent]
  }
  return busiest
}

const TICK_NS = 10_000_000
/** Of the numbers behind `cpu`: user, nice, system, irq, softirq, steal; neither idle nor waiting for a disk. */
const BUSY = [1, 2, 3, 6, 7, 8]

/** ns that all cores together were busy since the machine began, in steps of 10 ms. */
export function machineTime(): number {
  const numbers = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.trim().split(/\s+/)
  return BUSY.reduce((sum, place) => sum + Number(numbers[place]) * TICK_NS, 0)
}

/** Watches what other processes use of the machine while `processes` do their work. */
export class Quiet {
  readonly #processes: readonly number[]
  readonly #own: CpuTime
  readonly #busy = machineTime()
  readonly #startedAt = performance.now()

  constructor(processes: readonly number[]) {
    this.#processes = [...processes, process.pid]
    this.#own = cpuTime(this.#processes)
  }

  /** Share of one core that others used so far. */
  othersShare(): number {
    const elapsed = (performance.now() - this.#startedAt) * 1e6
    const others = machineTime() - this.#busy - spentBetween(this.#own, cpuTime(this.#processes))
    return Math.max(0, others / elapsed)
  }
}

/** 1-minute load average and the share of time stolen from this machine so far. */
export function disturbance(): { readonly load: number; readonly stolenTicks: number } {
  const load = Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0])
  const ticks = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.trim().split(/\s+/)
  return { load, stolenTicks: Number(ticks[8]) }
}
