/** Lets a task's result hand its buffers over instead of having them copied. */
import { move, transferableSymbol, valueSymbol } from 'piscina'

/** Typed as the value itself, because that is what arrives on the other side. */
export function transferring<T extends object>(value: T, buffers: readonly ArrayBuffer[]): T {
  const movable = {
    get [transferableSymbol](): readonly ArrayBuffer[] {
      return buffers
    },
    get [valueSymbol](): T {
      return value
    },
  }
  return move(movable as never) as unknown as T
}
