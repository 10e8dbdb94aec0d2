/**
 * Keyed digests: HMAC-SHA-256 (RFC 2104) cut to its first 16 bytes (as RFC 4868 does). A plain hash of a user
 * id or a small body can be found by trying; without the key file this cannot. The key is drawn once per
 * data directory, readable by its owner only, and never leaves it; `keyId` tells which key a segment used.
 *
 * HMAC is spelt out over the one-shot hash: 20 B cost 2.4 µs instead of 3.2 with createHmac, 512 B 2.7
 * instead of 3.5 (Node 20).
 */
import { createHash, createHmac, hash, randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { assert } from '../kernel/assert.ts'

export const DIGEST_BYTES = 16
const KEY_BYTES = 32
const BLOCK_BYTES = 64
const HASH_BYTES = 32
/** Longer inputs are not copied behind the key block but streamed. */
const ONE_SHOT_BYTES = 8 * 1024

export class Digester {
  readonly keyId: string
  readonly #key: Buffer
  readonly #inner = Buffer.alloc(BLOCK_BYTES + ONE_SHOT_BYTES)
  readonly #outer = Buffer.alloc(BLOCK_BYTES + HASH_BYTES)

  constructor(key: Uint8Array) {
    assert(key.length === KEY_BYTES, 'a digest key has 32 bytes')
    this.#key = Buffer.from(key)
    this.keyId = createHash('sha256').update(key).digest('hex').slice(0, 16)
    for (let index = 0; index < BLOCK_BYTES; index += 1) {
      this.#inner[index] = (this.#key[index] ?? 0) ^ 0x36
      this.#outer[index] = (this.#key[index] ?? 0) ^ 0x5c
    }
  }

  /** Writes the digest of all parts, one after the other, to `target[at, at + 16)`. */
  digest(parts: readonly Uint8Array[], target: Buffer, at: number): void {
    let length = 0
    for (const part of parts) length += part.length
    if (length > ONE_SHOT_BYTES) return this.#stream(parts, target, at)
    let end = BLOCK_BYTES
    for (const part of parts) {
      this.#inner.set(part, end)
      end += part.length
    }
    this.#outer.set(hash('sha256', this.#inner.subarray(0, end), 'buffer'), BLOCK_BYTES)
    target.set(hash('sha256', this.#outer, 'buffer').subarray(0, DIGEST_BYTES), at)
  }

  /** The same as lower-case hex; for whoever holds a value and asks whether it is the recorded one. */
  hexOf(value: Uint8Array): string {
    const bytes = Buffer.alloc(DIGEST_BYTES)
    this.digest([value], bytes, 0)
    return bytes.toString('hex')
  }

  #stream(parts: readonly Uint8Array[], target: Buffer, at: number): void {
    const hmac = createHmac('sha256', this.#key)
    for (const part of parts) hmac.update(part)
    target.set(hmac.digest().subarray(0, DIGEST_BYTES), at)
  }
}

/** Reads the key file; makes it on first use. Throws when it is there but not what it should be. */
export function openDigestKey(path: string): Buffer {
  const found = readKey(path)
  if (found !== undefined) return found
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, randomBytes(KEY_BYTES), { mode: 0o600, flush: true })
  try {
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    unlinkSync(draft)
  }
  return readKey(path)!
}

function readKey(path: string): Buffer | undefined {
  try {
    const key = readFileSync(path)
    if (key.length !== KEY_BYTES)
      throw new Error(`${path} should hold ${KEY_BYTES} bytes, it holds ${key.length}`)
    chmodSync(path, 0o600)
    return key
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
