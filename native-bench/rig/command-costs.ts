/** What a command costs as somebody types it: a process of its own, and what the system says of it at its end. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from './rig.ts'

export interface CommandCosts {
  readonly status: number | null
  readonly stdout: string
  /** Of the processor, for the whole process, its start included. */
  readonly cpuSeconds: number
  readonly maxRssMiB: number
}

const TOLD = 'costs:'
/** Runs in the command’s process, before it. */
const AT_EXIT = `process.on('exit', () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  process.stderr.write('\\n${TOLD}' + JSON.stringify([(userCPUTime + systemCPUTime) / 1e6, maxRSS / 1024]) + '\\n')
})`

/** `args`: as behind `modelgate`. Throws when the process ends without telling. */
export function commandCosts(args: readonly string[]): CommandCosts {
  const hook = `data:text/javascript,${encodeURIComponent(AT_EXIT)}`
  const main = join(ROOT, 'build/src/main.js')
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', hook, main, ...args], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  const told = stderr.split('\n').find((line) => line.startsWith(TOLD))
  if (told === undefined) throw new Error(`modelgate ${args.join(' ')} ended with ${status}: ${stderr}`)
  const [cpuSeconds, maxRssMiB] = JSON.parse(told.slice(TOLD.length)) as [number, number]
  return { status, stdout, cpuSeconds, maxRssMiB }
}
