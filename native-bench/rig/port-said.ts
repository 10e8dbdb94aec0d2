/**
 * Which port a contender of this project serves on, from what it says when it is ready.
 */
import type { ChildProcess } from 'node:child_process'

const START_MS_MAX = 30_000

/** Rejects, with what was said, when it ends or says nothing of the kind in time. */
export function portSaid(child: ChildProcess): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    let said = ''
    const timer = setTimeout(() => reject(new Error(`it did not start: ${said}`)), START_MS_MAX)
    const heard = (text: Buffer): void => {
      said += text.toString()
      const found = /serving on https?:\/\/\S+:(\d+)/.exec(said)
      if (found === null) return
      clearTimeout(timer)
      resolve(Number(found[1]))
    }
    child.stdout!.on('data', heard)
    child.stderr!.on('data', heard)
    child.on('close', (code) => reject(new Error(`it ended with ${code}: ${said}`)))
  })
}
