/**
 * Entry of the demo's model server: the command line of `modelgate`, tied to whoever started it. When its
 * standard input ends, because the demo ended in whatever way, it stops as if told to: nothing stays behind.
 */
import { runCommand } from '../commands.ts'
import { packageVersion } from '../package-version.ts'

process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM')).resume()
// The tether alone must not keep it running.
if ('unref' in process.stdin) process.stdin.unref()

process.exitCode = await runCommand(
  process.argv.slice(2),
  {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    color: false,
  },
  packageVersion(),
)
