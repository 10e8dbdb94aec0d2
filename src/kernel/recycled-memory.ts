/**
 * Large blocks of memory that are used again, on this thread. A body of 1 MiB in fresh memory costs its pages
 * (100 µs), and V8, which counts such memory, collects all garbage after every twenty of them: 300 µs a MiB in
 * the lane and 750 on its helpers, most of what a large request cost.
 *
 * Whoever takes a block may give it back once nobody reads it any more, and may as well forget it: then it is
 * garbage like any other. Giving back what is still read would show one caller another's bytes, so where that
 * is not plain to see it is not done. A block holds what it held before: only what was written is handed on.
 */
import { Buffer } from 'node:buffer'

/** Smaller ones are cheap to make. */
export const RECYCLED_BYTES_MIN = 64 * 1024
/** Larger ones are rare. */
export const RECYCLED_BYTES_MAX = 4 * 1024 * 1024
/** What lies ready at most. */
export const READY_BYTES_MAX = 32 * 1024 * 1024

const ready = new Map<number, Buffer[]>()
const lent = new WeakMap<ArrayBufferLike, Buffer>()
let readyBytes = 0

/** At least `bytes` long. */
export function takeBlock(bytes: number): Buffer {
  if (bytes < RECYCLED_BYTES_MIN || bytes > RECYCLED_BYTES_MAX) return Buffer.allocUnsafe(bytes)
  const size = sizeFor(bytes)
  const found = ready.get(size)?.pop()
  if (found !== undefined) readyBytes -= size
  const block = found ?? Buffer.allocUnsafeSlow(size)
  lent.set(block.buffer, block)
  return block
}

/** Two sizes an octave: with powers of two alone, a read of 192 KiB would lie in 256. */
function sizeFor(bytes: number): number {
  const power = 2 ** Math.ceil(Math.log2(bytes))
  return bytes <= 0.75 * power ? 0.75 * power : power
}

/** The block of which `view` is a part; any other memory is left alone, and so is a block that was given back before. */
export function giveBlockBack(view: Uint8Array): void {
  const block = lent.get(view.buffer)
  if (block === undefined) return
  lent.delete(view.buffer)
  // A block whose memory went to another thread has none any more.
  if (block.length === 0 || readyBytes + block.length > READY_BYTES_MAX) return
  const blocks = ready.get(block.length)
  if (blocks === undefined) ready.set(block.length, [block])
  else blocks.push(block)
  readyBytes += block.length
}
