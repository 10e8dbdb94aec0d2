/** A gateway whose data lies on a small disk of its own, for a test to fill. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type ServeProcess, serve, writeSetup } from './serve-process.ts'

export interface OnSmallDisk {
  readonly gateway: ServeProcess
  readonly port: number
  readonly adminPort: number
  /** Its data, through `/proc`: nobody else sees that disk. */
  readonly disk: string
}

/** `toml`: everything but `[server]`. The disk has 3 MiB. Null where mounting one is not allowed. */
export async function onSmallDisk(t: Test, toml: string): Promise<OnSmallDisk | null> {
  const { configFile, dataDir } = writeSetup(
    t,
    `[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nlanes = 1\n${toml}`,
  )
  mkdirSync(dataDir)
  const mount = `mount -t tmpfs -o size=3m none '${dataDir}'`
  if (spawnSync('unshare', ['-rm', 'sh', '-c', mount]).status !== 0) {
    t.comment('SKIPPED: this system lets nobody mount a small tmpfs')
    return null
  }
  const gateway = serve(t, configFile, ['unshare', '-rm', 'sh', '-c', `${mount} && exec "$@"`, 'sh'])
  const { port, adminPort } = await gateway.ports()
  return { gateway, port, adminPort, disk: join(`/proc/${gateway.pid}/root`, dataDir) }
}

/** Leaves no free byte. */
export function fill(file: string): void {
  for (const bytes of [64 * 1024, 1024, 1]) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(bytes), { flag: 'a' })
    } catch {
      // No room for as much any more.
    }
  }
}
