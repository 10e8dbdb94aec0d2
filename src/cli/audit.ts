/**
 * `modelgate audit …`: what auditors ask of the log. Each subcommand is a file in audit/, loaded only when asked
 * for. All work beside a running gateway and without one.
 */
import { nearestName } from '../kernel/nearest-name.ts'
import { keepHeapSmall } from './audit/small-heap.ts'
import type { Command } from './command.ts'
import type { Io } from './io.ts'

export const AUDIT_COMMANDS: readonly Command[] = [
  {
    name: 'verify',
    summary: 'whether the log is what was written, and all of it',
    load: async () => {
      keepHeapSmall()
      return (await import('./audit/verify.ts')).verify
    },
  },
  {
    name: 'list',
    summary: 'the latest decisions that fit some filters',
    load: async () => (await import('./audit/list.ts')).list,
  },
  {
    name: 'query',
    summary: 'ask the log in SQL',
    load: async () => (await import('./audit/query.ts')).query,
  },
  {
    name: 'export',
    summary: 'a table of the log as Parquet, JSON Lines or CSV',
    load: async () => (await import('./audit/export.ts')).exportLog,
  },
  {
    name: 'report',
    summary: 'what a model did in a stretch of time, why, and what was done about it',
    load: async () => (await import('./audit/report.ts')).report,
  },
  {
    name: 'proof',
    summary: 'the proof that one record is in the log, to be checked without it',
    load: async () => (await import('./audit/proof.ts')).proof,
  },
  {
    name: 'note',
    summary: 'put words on record',
    load: async () => (await import('./audit/note.ts')).note,
  },
  {
    name: 'hold',
    summary: 'forbid that anything is deleted, or allow it again',
    load: async () => (await import('./audit/hold.ts')).hold,
  },
  {
    name: 'erase',
    summary: 'destroy the key of what was captured of somebody',
    load: async () => (await import('./audit/erase.ts')).erase,
  },
  {
    name: 'rotate-key',
    summary: 'let another key sign the log',
    load: async () => (await import('./audit/rotate-key.ts')).rotateKey,
  },
  {
    name: 'prune',
    summary: 'tell what retention would delete',
    load: async () => (await import('./audit/prune.ts')).prune,
  },
  {
    name: 'index',
    summary: 'make the index of the log whole now, or anew',
    load: async () => (await import('./audit/index-log.ts')).indexLog,
  },
  {
    name: 'repair',
    summary: 'what to do with a log that the gateway refuses to open',
    load: async () => (await import('./audit/repair.ts')).repair,
  },
]

export async function audit(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    const print = name === undefined ? io.stderr : io.stdout
    print(usage())
    return name === undefined ? 2 : 0
  }
  const command = AUDIT_COMMANDS.find((candidate) => candidate.name === name)
  if (command === undefined) {
    const near = nearestName(
      name,
      AUDIT_COMMANDS.map((candidate) => candidate.name),
    )
    const hint = near === null ? '' : `; did you mean '${near}'?`
    io.stderr(`modelgate audit: there is no command '${name}'${hint}\n\n${usage()}`)
    return 2
  }
  const run = await command.load()
  return run(rest, io)
}

function usage(): string {
  const width = Math.max(0, ...AUDIT_COMMANDS.map(({ name }) => name.length))
  const lines = AUDIT_COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}   ${summary}`)
  return [
    'Usage: modelgate audit COMMAND [--config FILE | --data DIR] [OPTIONS]',
    '',
    'The log of decisions, and what it proves.',
    '',
    ...lines,
    '',
    'modelgate audit COMMAND --help tells a command’s options.',
    '',
  ].join('\n')
}
