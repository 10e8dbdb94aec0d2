/**
 * The one hash of text. It assigns traffic: XXH64 of UTF-8 text with seed 0, the same on every node, lane,
 * restart and Node version. Not keyed and not secret: it spreads keys, it does not hide them.
 *
 * The only door to xxhash-wasm (155 ns for a short key). Its module is compiled while this file loads,
 * so that the call itself is synchronous.
 */
import xxhash from 'xxhash-wasm'

const { h64 } = await xxhash()

const POINTS = 2 ** 53

/**
 * Where text falls in [0, 1): the hash's upper 53 bits, evenly spaced, so no modulo bias. The result is
 * exact: two machines agree to the last bit.
 */
export function pointOf(text: string): number {
  return Number(h64(text) >> 11n) / POINTS
}

/** 64 bits. With a seed that only this process knows, nobody can choose text that falls where another's does. */
export function hashOf(text: string, seed: bigint): bigint {
  return h64(text, seed)
}
