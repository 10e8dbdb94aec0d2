/**
 * What PEM text holds, and whether it can serve: certificates, a private key, and the two together as the
 * listener's identity. Deterministic: text and time come in, and what is wrong comes out in words that name
 * no place; whoever asks knows the place. Nothing of a key is ever part of the words.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'

export type Pem<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string }

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g
const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m

/** At least one. */
export function certificatesIn(text: string): Pem<readonly X509Certificate[]> {
  try {
    const value = (text.match(CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem))
    if (value.length > 0) return { ok: true, value }
    const instead = PRIVATE_KEY.test(text)
      ? 'it holds a private key and no certificate'
      : 'it holds no certificate'
    return { ok: false, problem: `is not a PEM certificate: ${instead}` }
  } catch (error) {
    return { ok: false, problem: `is not a PEM certificate: ${(error as Error).message}` }
  }
}

export function privateKeyIn(text: string): Pem<KeyObject> {
  if (ENCRYPTED.test(text)) {
    return {
      ok: false,
      problem: 'has a passphrase, and nobody is there to type it: store the key without one',
    }
  }
  if (!PRIVATE_KEY.test(text)) return { ok: false, problem: 'is not a PEM private key: it holds none' }
  try {
    return { ok: true, value: createPrivateKey(text) }
  } catch (error) {
    return { ok: false, problem: `is not a PEM private key: ${(error as Error).message}` }
  }
}

export const SERVER_KEYS = 'RSA of at least 2048 bits, ECDSA on P-256, P-384 or P-521, or Ed25519'

const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1'])
const RSA_BITS_MIN = 2048

/** Why clients could not be served with this key; null when they can. */
export function serverKeyProblem({
  asymmetricKeyType: type,
  asymmetricKeyDetails: details,
}: KeyObject): string | null {
  if (type === 'ed25519') return null
  if (type === 'ec') {
    const curve = details?.namedCurve ?? 'of its own'
    return CURVES.has(curve) ? null : `is a key on the curve ${curve}, which this listener cannot use`
  }
  if (type !== 'rsa') return `is a key of the type ${type}, which this listener cannot use`
  const bits = details?.modulusLength ?? 0
  return bits >= RSA_BITS_MIN ? null : `is an RSA key of ${bits} bits, which clients refuse`
}

export interface Validity {
  /** Unix milliseconds. */
  readonly from: number
  readonly until: number
}

export function validityOf(certificate: X509Certificate): Validity {
  return { from: Date.parse(certificate.validFrom), until: Date.parse(certificate.validTo) }
}

/** Why clients that verify the certificate would turn away now; null when they would not. */
export function validityProblem(certificate: X509Certificate, now: number): string | null {
  const { from, until } = validityOf(certificate)
  if (now >= until) return `holds a certificate that ran out on ${dateText(until)}`
  return now < from ? `holds a certificate that is valid from ${dateText(from)} on, not yet` : null
}

/** Seconds are enough for people. */
export function dateText(unixMs: number): string {
  return `${new Date(unixMs).toISOString().slice(0, 19)}Z`
}
