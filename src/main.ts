#!/usr/bin/env node
/** Entry: hands the command line to cli/ and the result to the shell. */
import { runCommand } from './cli/commands.ts'
import { endAtOnce } from './cli/end-at-once.ts'
import { packageVersion } from './cli/package-version.ts'

// A reader that closed early (`modelgate explain … | head`) is not an error worth a stack trace.
process.stdout.on('error', () => endAtOnce('SIGPIPE'))

process.exitCode = await runCommand(
  process.argv.slice(2),
  {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    columns: process.stdout.columns,
    ...(process.stderr.isTTY === true
      ? { progress: (text: string) => void process.stderr.write(`\r\u001b[K${text}`) }
      : {}),
    color: process.stdout.isTTY === true && process.env.NO_COLOR === undefined,
  },
  packageVersion(),
)
