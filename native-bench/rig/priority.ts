/**
 * The priority of everything that is started from here on. Linux shares time out between sessions before it looks at
 * niceness inside them (autogroups), so that of this session is changed, too, and given back at the end.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'

const GROUP = '/proc/self/autogroup'

export function setNiceness(niceness: number): void {
  if (niceness === 0) return
  setPriority(niceness)
  const before = groupNiceness()
  if (before === undefined) return
  writeFileSync(GROUP, String(niceness))
  process.on('exit', () => writeFileSync(GROUP, String(before)))
}

function groupNiceness(): number | undefined {
  try {
    return Number(/nice (-?\d+)/.exec(readFileSync(GROUP, 'utf8'))?.[1])
  } catch {
    return undefined
  }
}
