/**
 * What a stored result says about where it was measured: enough to judge it, nothing that names a machine.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { disturbance } from './cpu-time.ts'

export function machine(root: string): Readonly<Record<string, unknown>> {
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    kernel: release().replace(/-.*$/, ''),
    cpu: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    congestionControl: readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim(),
    rrTimesliceMs: Number(readFileSync('/proc/sys/kernel/sched_rr_timeslice_ms', 'utf8')),
    commit: commitOf(root),
    loadAverage: disturbance().load,
  }
}

/** Of the tree that was built; with a mark when it holds changes that are in no commit. */
export function commitOf(root: string): string {
  try {
    return execFileSync('git', ['-C', root, 'describe', '--always', '--dirty'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}
