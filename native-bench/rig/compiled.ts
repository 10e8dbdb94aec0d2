/**
 * The programs in `c/`, compiled when they are needed. Where there is no compiler nothing can be measured here, and
 * the reason says what to install.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './rig.ts'

const SOURCES = join(ROOT, 'native-bench/c')

export interface Programs {
  readonly load: string
  readonly floor: string
}

/** The reason, as a string, where they cannot be had. */
export function compiledPrograms(): Programs | string {
  if (process.platform !== 'linux') return 'the generator needs Linux (epoll, schedstat)'
  if (!isOnPath('cc') || !isOnPath('make')) {
    return 'there is no C compiler or no make on this machine (Debian: apt-get install gcc libc6-dev make)'
  }
  const directory = join(ROOT, 'build/native-bench/c')
  mkdirSync(directory, { recursive: true })
  execFileSync('make', ['--silent', '-C', SOURCES, `OUT=${directory}`], { stdio: 'inherit' })
  return { load: join(directory, 'load'), floor: join(directory, 'floor') }
}

export function isOnPath(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
