/**
 * Keeps what was damaged: a copy of the bytes under `torn/`, named after the file and the place they were found
 * in, synced before anything is cut off. Nothing there is ever overwritten or deleted by the gateway.
 */
import { mkdirSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { type Disk, writeAll } from './disk.ts'
import { tornOf } from './paths.ts'
import type { TornPart } from './records/notes.ts'

const COPY_BYTES = 256 * 1024

const FOLDERS: ReadonlyMap<string, string> = new Map([
  ['.jnl', 'journal'],
  ['.ring', 'inflight'],
])

/** A stretch of a file that holds no whole frame. */
export interface Damage {
  readonly at: number
  readonly bytes: number
  readonly where: TornPart['where']
}

/** Copies `damage` of the open file `fd`, which lies in `folder`. */
export function keepTorn(
  disk: Disk,
  dataDir: string,
  source: { fd: number; path: string },
  damage: Damage,
): TornPart {
  const name = basename(source.path)
  const folder = FOLDERS.get(extname(name)) ?? 'segments'
  const kept = `${name}.${damage.at}.torn`
  const path = join(tornOf(dataDir), kept)
  mkdirSync(tornOf(dataDir), { recursive: true, mode: 0o700 })
  const fd = disk.open(path)
  try {
    if (disk.size(fd) < damage.bytes) copy(disk, source.fd, fd, damage)
    disk.sync(fd)
  } finally {
    disk.close(fd)
  }
  disk.syncDirectory(tornOf(dataDir))
  return { file: `${folder}/${name}`, kept: `torn/${kept}`, ...damage }
}

function copy(disk: Disk, from: number, to: number, damage: Damage): void {
  const chunk = Buffer.allocUnsafe(Math.min(COPY_BYTES, damage.bytes))
  let done = 0
  while (done < damage.bytes) {
    const wanted = Math.min(chunk.length, damage.bytes - done)
    const read = disk.read(from, chunk, wanted, damage.at + done)
    if (read === 0) return
    writeAll(disk, to, chunk, { length: read, position: done })
    done += read
  }
}
