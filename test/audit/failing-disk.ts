/**
 * A real disk one of whose calls fails, or at which the process dies: that call and all behind it do nothing. For
 * tests that go through every call of a piece of work in turn.
 */
import { type Disk, systemDisk } from '../../src/audit/disk.ts'

export class Died extends Error {
  override readonly name = 'Died'
}

export interface FailingDisk extends Disk {
  /** Calls so far. */
  readonly calls: number
}

/**
 * `at`: number of the call, from 1. `how`: an error's code; `short`: a write takes half of the bytes, everything else
 * works; `dies`: the process is gone, files it had open are closed. `lasts`: every call from there on.
 */
export function failingDisk(at: number, how: string, lasts = how === 'dies'): FailingDisk {
  let calls = 0
  const open = new Set<number>()
  const call = (name: string, act: (...given: never[]) => unknown, given: unknown[]): unknown => {
    calls += 1
    const isHit = lasts ? calls >= at : calls === at
    if (isHit && how === 'dies') {
      for (const fd of open) systemDisk.close(fd)
      open.clear()
      throw new Died()
    }
    if (isHit && how === 'short' && name === 'write') given[2] = Math.ceil((given[2] as number) / 2)
    // What fails to close is closed all the same.
    if (name === 'close') open.delete(given[0] as number)
    if (isHit && how !== 'short') {
      if (name === 'close') systemDisk.close(given[0] as number)
      throw Object.assign(new Error(`${how}: ${name}`), { code: how })
    }
    const result = act(...(given as never[]))
    if (name.startsWith('open')) open.add(result as number)
    return result
  }
  return new Proxy(systemDisk as FailingDisk, {
    get: (_, name: keyof FailingDisk) =>
      name === 'calls' ? calls : (...given: unknown[]) => call(name, systemDisk[name] as never, given),
  })
}
