/**
 * The commands, in the order the help shows them. Each is one file, loaded only when asked for: the
 * gateway's start should not pay for the demo.
 *
 * Exit codes everywhere: 0 good, 1 the answer is no, 2 wrong usage, 3 could not ask.
 */
import { nearestName } from '../kernel/nearest-name.ts'
import type { Command } from './command.ts'
import type { Io } from './io.ts'

export const COMMANDS: readonly Command[] = [
  {
    name: 'serve',
    summary: 'run the gateway until it is stopped',
    load: async () => (await import('./serve.ts')).serve,
  },
  {
    name: 'check',
    summary: 'check a configuration and name every problem in it',
    load: async () => (await import('./check.ts')).check,
  },
  {
    name: 'demo',
    summary: 'replay real data through the gateway and show what it did',
    load: async () => (await import('./demo.ts')).demo,
  },
  {
    name: 'explain',
    summary: 'tell the story of one request, from its decision record',
    load: async () => (await import('./explain.ts')).explain,
  },
  {
    name: 'audit',
    summary: 'verify, prove, search and report the log of decisions',
    load: async () => (await import('./audit.ts')).audit,
  },
]

export async function runCommand(args: readonly string[], io: Io, version: string): Promise<number> {
  const [name, ...rest] = args
  if (name === '--version' || name === '-v') {
    io.stdout(`modelgate ${version}\n`)
    return 0
  }
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    io.stdout(usage())
    return name === undefined ? 2 : 0
  }
  const command = COMMANDS.find((candidate) => candidate.name === name)
  if (command === undefined) {
    const near = nearestName(
      name,
      COMMANDS.map((candidate) => candidate.name),
    )
    const hint = near === null ? '' : `; did you mean '${near}'?`
    io.stderr(`modelgate: there is no command '${name}'${hint}\n\n${usage()}`)
    return 2
  }
  const run = await command.load()
  return run(rest, io)
}

function usage(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length))
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}   ${summary}`)
  return [
    'modelgate: a gateway between services and the versions of their models',
    '',
    'Usage: modelgate COMMAND [--config FILE] [OPTIONS]',
    '',
    ...lines,
    '',
    'modelgate COMMAND --help tells a command’s options. FILE is gateway.toml unless told.',
    '',
  ].join('\n')
}
