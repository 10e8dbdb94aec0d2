/**
 * How a body is encrypted before it is written: deflated (RFC 1951), then AES-256-GCM under its subject's key, with the
 * request id and the side as associated data, so that no sealed body can be shown as that of another request.
 * Destroying the key destroys the body; what the log proves of the record stays as it was.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { idBytes } from '../records/row.ts'

export const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** A body that is opened; whatever was configured when it was sealed. */
const OPENED_BYTES_MAX = 16 * 1024 * 1024

export type Side = 'request' | 'answer'

/** `id`: of the request. Gives nonce, ciphertext, tag. */
export function seal(body: Uint8Array, key: Uint8Array, id: string, side: Side): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(associated(id, side))
  const sealed = cipher.update(deflateRawSync(body))
  return Buffer.concat([nonce, sealed, cipher.final(), cipher.getAuthTag()])
}

/** Throws when it is not whole, or not of this request, side and key. */
export function unseal(sealed: Buffer, key: Uint8Array, id: string, side: Side): Buffer {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw new Error('too short to be a sealed body')
  const cipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
  cipher.setAAD(associated(id, side))
  cipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  const packed = Buffer.concat([cipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), cipher.final()])
  return inflateRawSync(packed, { maxOutputLength: OPENED_BYTES_MAX })
}

/** Names a key without telling it: 16 hex digits. */
export function keyIdOf(key: Uint8Array): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 16)
}

function associated(id: string, side: Side): Buffer {
  return Buffer.concat([idBytes(id), Buffer.from([side === 'request' ? 0 : 1])])
}
