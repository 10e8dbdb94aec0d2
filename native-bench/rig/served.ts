/**
 * A program that serves on a port, as a contender: on the measured core, with a directory of its own that is removed
 * with it, up when this resolves. Some say which port they took; others are given one that was free a moment ago.
 */
import { type ChildProcess, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atExit } from './at-exit.ts'
import { type Core, MEASURED_CORE, pause, spawnPinned } from './bench-process.ts'
import type { Contender } from './contender.ts'
import { portSaid } from './port-said.ts'

const TRIES_MAX = 1500
const TRY_MS = 4

export interface Served {
  readonly name: string
  readonly prefix?: string
  /** `{{NAME}}` in `configuration` and `command` is replaced by `values.NAME`, `{{DIRECTORY}}` and `{{PORT}}` by its own. */
  readonly values?: Readonly<Record<string, string | number>>
  /** The text of the file that `{{CONFIG}}` in `command` stands for. */
  readonly configuration?: string
  readonly command: readonly string[]
  /** It prints where it serves; otherwise `{{PORT}}` is tried until it answers. */
  readonly saysPort: boolean
  readonly signal?: NodeJS.Signals
  /** The measured one unless told. */
  readonly core?: Core
}

export async function startServed(served: Served): Promise<Contender> {
  const directory = mkdtempSync(join(tmpdir(), 'modelgate-bench-'))
  // nginx wants these two; nobody else minds.
  for (const name of ['body', 'proxy']) mkdirSync(join(directory, name))
  const chosen = served.saysPort ? 0 : await freePort()
  const config = join(directory, 'configuration')
  const values = { ...served.values, DIRECTORY: directory, CONFIG: config, PORT: chosen, USER: user() }
  writeFileSync(config, filled(served.configuration ?? '', values))
  const child = spawnPinned(
    served.core ?? MEASURED_CORE,
    served.command.map((word) => filled(word, values)),
    'text',
  )
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const processes = (): number[] => [child.pid!, ...childrenOf(child.pid!)]
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  const callOff = atExit(() => {
    if (child.exitCode !== null || child.signalCode !== null) return remove()
    for (const id of processes().reverse()) process.kill(id, 'SIGKILL')
    remove()
  })
  const stop = async (): Promise<void> => {
    child.kill(served.signal ?? 'SIGTERM')
    await ended
    callOff()
    remove()
  }
  const port = await (served.saysPort ? portSaid(child) : portOpen(child, chosen)).catch(
    async (problem: unknown) => {
      child.kill('SIGKILL')
      await stop()
      throw new Error(`${served.name} did not start`, { cause: problem })
    },
  )
  return { name: served.name, port, prefix: served.prefix ?? '', processes, stop }
}

export function filled(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{\{([A-Z]+)\}\}/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`nothing is known for {{${name}}}`)
    return String(value)
  })
}

/** What a program says its version is, in one line. */
export function versionOf(program: string, word: string): string {
  return execFileSync('sh', ['-c', `${program} ${word} 2>&1`], { encoding: 'utf8' })
    .split('\n')[0]!
    .trim()
}

/** A master of root's gives its workers to another user, whom the directory is closed to. */
function user(): string {
  return process.getuid?.() === 0 ? 'root' : 'nobody'
}

/** None of one that has ended. */
function childrenOf(id: number): number[] {
  const file = `/proc/${id}/task/${id}/children`
  const text = existsSync(file) ? readFileSync(file, 'utf8').trim() : ''
  return text === '' ? [] : text.split(' ').map(Number)
}

function freePort(): Promise<number> {
  const server = createServer()
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

async function portOpen(child: ChildProcess, port: number): Promise<number> {
  let said = ''
  child.stdout!.on('data', () => {})
  child.stderr!.on('data', (text: Buffer) => {
    said += text.toString()
  })
  for (let attempt = 0; !(await isOpen(port)); attempt += 1) {
    if (attempt > TRIES_MAX || child.exitCode !== null) throw new Error(said)
    await pause(TRY_MS)
  }
  return port
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
