/**
 * One writer per data directory. The lock file says who: host, boot, process namespace, process id and the
 * tick the process started at, so neither a number used again nor a restart of the machine looks alive.
 *
 * Who cannot be looked up in /proc (another container, another machine, another system) is believed to live as
 * long as it touches the file: its owner does every second, from two threads, so that neither a long look at an
 * old log nor a slow disk makes it look dead.
 */
import {
  linkSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../kernel/clock.ts'
import { LOCK_FILE } from './paths.ts'

export const TOUCH_EVERY_MS = 1000
/** Three touches missed. */
export const SILENT_AFTER_MS = 3500
const LOOK_EVERY_MS = 100

interface Holder {
  readonly pid: number
  /** Clock ticks since boot at which the process began; empty where the system does not say. */
  readonly startTick: string
  readonly boot: string
  readonly namespace: string
  readonly host: string
}

export interface Lock {
  touch(): void
  /** False when the file is gone or another's: the directory was deleted or taken while it was in use. */
  isHeld(): boolean
  release(): void
}

/** The lock, or a line saying who has it. */
export async function takeLock(dataDir: string, clock: Clock): Promise<Lock | string> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const path = join(dataDir, LOCK_FILE)
  const own = JSON.stringify(whoAmI())
  const draft = `${path}.${process.pid}.draft`
  writeFileSync(draft, own, { mode: 0o600 })
  try {
    for (let tries = 0; tries < 3; tries += 1) {
      if (linkedTo(draft, path)) return lockAt(dataDir, own, clock)
      const text = readText(path)
      if (text === undefined) continue
      if (await isAlive(path, text)) return refusal(path, text)
      if (!setAside(path, text)) return refusal(path, readText(path) ?? text)
    }
    return `${path} is being taken by somebody else at this moment`
  } finally {
    unlinkSync(draft)
  }
}

function lockAt(dataDir: string, own: string, clock: Clock): Lock {
  const path = join(dataDir, LOCK_FILE)
  return {
    touch: () => touchLock(dataDir, clock),
    isHeld: () => isHeld(path, own),
    release() {
      if (readText(path) === own) unlinkSync(path)
    },
  }
}

/** A file that cannot be looked at (no descriptor left, an error of the disk) is believed to be as it was. */
function isHeld(path: string, own: string): boolean {
  try {
    return readFileSync(path, 'utf8') === own
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code !== 'ENOENT' && code !== 'ENOTDIR'
  }
}

/**
 * Until it is released, whatever other threads are busy with; never keeps the process alive. `onLost` is
 * called once when the lock is no longer ours: writing to files that were deleted succeeds, so nothing
 * else would tell that records are going nowhere.
 */
export function keepTouched(lock: Lock, onLost: () => void): Lock {
  const timer = setInterval(() => {
    if (lock.isHeld()) lock.touch()
    else {
      clearInterval(timer)
      onLost()
    }
  }, TOUCH_EVERY_MS)
  timer.unref()
  return {
    ...lock,
    release() {
      clearInterval(timer)
      lock.release()
    },
  }
}

/** For threads other than the one that took it. */
export function touchLock(dataDir: string, clock: Clock): void {
  const now = clock.wall() / 1000
  try {
    utimesSync(join(dataDir, LOCK_FILE), now, now)
  } catch {
    // Somebody removed the file by hand; the running process keeps its log and the next start decides.
  }
}

function linkedTo(draft: string, path: string): boolean {
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** False when the lock changed hands since it was read; it is put back then. */
function setAside(path: string, text: string): boolean {
  const aside = `${path}.${process.pid}.stale`
  try {
    renameSync(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true
    throw error
  }
  const isStale = readText(aside) === text
  if (!isStale) linkedTo(aside, path)
  unlinkSync(aside)
  return isStale
}

async function isAlive(path: string, text: string): Promise<boolean> {
  const holder = parse(text)
  if (holder === undefined) return isTouched(path)
  const self = whoAmI()
  const isVisible = holder.boot !== '' && holder.boot === self.boot && holder.namespace === self.namespace
  if (isVisible) return holder.startTick !== '' && startTickOf(holder.pid) === holder.startTick
  return isTouched(path)
}

/** Watches the file's time instead of comparing it with a clock, which need not be the same clock. */
async function isTouched(path: string): Promise<boolean> {
  const before = timeOf(path)
  for (let waited = 0; waited < SILENT_AFTER_MS; waited += LOOK_EVERY_MS) {
    await sleep(LOOK_EVERY_MS)
    if (timeOf(path) !== before) return true
  }
  return false
}

function timeOf(path: string): number {
  try {
    return statSync(path).mtimeMs
  } catch {
    return -1
  }
}

function refusal(path: string, text: string): string {
  const holder = parse(text)
  const who =
    holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host || 'this machine'}`
  return `${who} is writing this log (${path}); two writers would break it. Stop it, or give this one another data_dir`
}

/** Another after each start of the machine; empty where the system does not say. */
export function bootId(): string {
  return readText('/proc/sys/kernel/random/boot_id')?.trim() ?? ''
}

function whoAmI(): Holder {
  return {
    pid: process.pid,
    startTick: startTickOf(process.pid),
    boot: bootId(),
    namespace: linkOf('/proc/self/ns/pid'),
    host: readText('/proc/sys/kernel/hostname')?.trim() ?? '',
  }
}

/**
 * Fields 3, 20 and 22 of /proc/pid/stat (proc(5)); the name before them may contain anything, so count from its
 * end. A process that was killed stays listed until its parent asks for it, which may be never; it is gone
 * when its last thread is.
 */
function startTickOf(pid: number): string {
  const stat = readText(`/proc/${pid}/stat`)
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? []
  const [state = '', threads = '', startTick = ''] = [fields[0], fields[17], fields[19]]
  const isGone = (state === 'Z' || state === 'X') && Number(threads) <= 1
  return isGone ? '' : startTick
}

function parse(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Partial<Holder>
    if (typeof value.pid !== 'number') return undefined
    const { pid, startTick = '', boot = '', namespace = '', host = '' } = value
    return { pid, startTick, boot, namespace, host }
  } catch {
    return undefined
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
