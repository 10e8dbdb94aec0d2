/**
 * Certificates for tests, made on the spot: authorities that sign servers, clients and other authorities,
 * each as PEM text. Only node:crypto and a few lines of DER, so there is no key in the repository and
 * none that runs out on a day when nobody looks. P-256 throughout: a pair costs under a millisecond.
 *
 *     const authority = makeAuthority()
 *     const { certificate, key } = authority.issue({ names: ['localhost', '127.0.0.1'] })
 *
 * What a test wants broken it asks for: an expired validity, other names, another authority, the wrong use.
 */
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'

export interface Issued {
  /** PEM; with the certificates between it and the first authority behind it, if there are any. */
  readonly certificate: string
  /** PEM, PKCS #8. */
  readonly key: string
}

export interface Wanted {
  /** Host names and IP addresses (subjectAltName). Empty: none at all. Default: localhost and 127.0.0.1. */
  readonly names?: readonly string[]
  /** Common name of the subject; default: the first of `names`. */
  readonly commonName?: string
  /** Extended key usage; default server. */
  readonly use?: 'server' | 'client' | 'both'
  /** Default: an hour ago. */
  readonly notBefore?: Date
  /** Default: in a day. */
  readonly notAfter?: Date
}

export interface Authority extends Issued {
  issue(wanted?: Wanted): Issued
  /** An authority below this one; its own certificate is sent along with what it issues. */
  subordinate(commonName?: string): Authority
}

/** An authority nobody trusts unless told to: hand its `certificate` to whom it may concern. */
export function makeAuthority(commonName = 'a test authority', validity: Validity = {}): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuer = { commonName, key: privateKey, chain: '' }
  return authorityOf({ commonName, publicKey, validity, isAuthority: true, issuer }, privateKey)
}

/** What `checkServerIdentity` and chain building call expired: valid from two days ago until yesterday. */
export function expired(): Validity {
  return { notBefore: daysFromNow(-2), notAfter: daysFromNow(-1) }
}

/** Writes `NAME.crt` and `NAME.key`; gives their paths. Writing over them is how a renewal looks. */
export function writeIssued(
  directory: string,
  name: string,
  issued: Issued,
): { certificate: string; key: string } {
  const paths = { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) }
  writeFileSync(paths.certificate, issued.certificate)
  writeFileSync(paths.key, issued.key, { mode: 0o600 })
  return paths
}

type Validity = Pick<Wanted, 'notBefore' | 'notAfter'>

interface Issuer {
  readonly commonName: string
  readonly key: KeyObject
  /** PEM of the certificates that have to be sent with what it signs. */
  readonly chain: string
}

interface Subject {
  readonly commonName: string
  readonly publicKey: KeyObject
  readonly validity: Validity
  readonly isAuthority: boolean
  readonly issuer: Issuer
  readonly names?: readonly string[]
  readonly use?: Wanted['use']
}

function authorityOf(subject: Subject, key: KeyObject): Authority {
  const certificate = signed(subject)
  const { commonName, issuer } = subject
  const isFirst = issuer.key === key
  const own: Issuer = { commonName, key, chain: isFirst ? '' : certificate + issuer.chain }
  return {
    certificate,
    key: pemOf(key),
    issue: (wanted = {}) => issuedBy(own, wanted),
    subordinate: (name = 'a subordinate authority') => {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const below = {
        commonName: name,
        publicKey: pair.publicKey,
        validity: {},
        isAuthority: true,
        issuer: own,
      }
      return authorityOf(below, pair.privateKey)
    },
  }
}

function issuedBy(issuer: Issuer, wanted: Wanted): Issued {
  const { names = ['localhost', '127.0.0.1'], use = 'server', ...validity } = wanted
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const commonName = wanted.commonName ?? names[0] ?? 'nobody'
  const leaf = signed({ commonName, publicKey, validity, isAuthority: false, issuer, names, use })
  return { certificate: leaf + issuer.chain, key: pemOf(privateKey) }
}

/** RFC 5280 §4.1: what is to be signed, how it was signed, the signature. */
function signed(subject: Subject): string {
  const { commonName, publicKey, validity, issuer } = subject
  const { notBefore = daysFromNow(-1 / 24), notAfter = daysFromNow(1) } = validity
  const body = sequence(
    tagged(0xa0, integer(Uint8Array.of(2))),
    // A leading zero would be cut by strict readers, a leading one bit would make it negative.
    integer(Uint8Array.of(0x5a, ...randomBytes(15))),
    ECDSA_WITH_SHA256,
    nameOf(issuer.commonName),
    sequence(timeOf(notBefore), timeOf(notAfter)),
    nameOf(commonName),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensionsOf(subject))),
  )
  const signature = sign('sha256', body, issuer.key)
  const bytes = sequence(body, ECDSA_WITH_SHA256, bitString(signature))
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

/** With both key identifiers, which strict verifiers ask for. */
function extensionsOf({ isAuthority, names = [], use = 'server', publicKey, issuer }: Subject): Uint8Array[] {
  const identifiers = [
    extension('2.5.29.14', false, tagged(0x04, keyIdentifier(publicKey))),
    extension('2.5.29.35', false, sequence(tagged(0x80, keyIdentifier(createPublicKey(issuer.key))))),
  ]
  if (isAuthority) {
    // keyCertSign and cRLSign: bits 5 and 6, one unused bit behind them.
    return [
      ...identifiers,
      extension('2.5.29.19', true, sequence(TRUE)),
      extension('2.5.29.15', true, tagged(0x03, Uint8Array.of(1, 0x06))),
    ]
  }
  const uses = [
    ...(use === 'client' ? [] : [objectIdentifier('1.3.6.1.5.5.7.3.1')]),
    ...(use === 'server' ? [] : [objectIdentifier('1.3.6.1.5.5.7.3.2')]),
  ]
  const extensions = [
    ...identifiers,
    extension('2.5.29.19', true, sequence()),
    extension('2.5.29.37', false, sequence(...uses)),
  ]
  if (names.length > 0)
    extensions.push(extension('2.5.29.17', false, sequence(...names.map(alternativeName))))
  return extensions
}

function keyIdentifier(publicKey: KeyObject): Uint8Array {
  const bytes = publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(bytes).digest().subarray(0, 20)
}

function extension(identifier: string, isCritical: boolean, value: Uint8Array): Uint8Array {
  return sequence(objectIdentifier(identifier), ...(isCritical ? [TRUE] : []), tagged(0x04, value))
}

/** [2] dNSName or [7] iPAddress. */
function alternativeName(name: string): Uint8Array {
  if (isIP(name) === 4) return tagged(0x87, Uint8Array.from(name.split('.').map(Number)))
  if (isIP(name) === 6) return tagged(0x87, groupsOf(name))
  return tagged(0x82, Buffer.from(name, 'latin1'))
}

function groupsOf(address: string): Uint8Array {
  const [before = '', after] = address.split('::')
  const left = before === '' ? [] : before.split(':')
  const right = after === undefined || after === '' ? [] : after.split(':')
  const zeros = new Array(after === undefined ? 0 : 8 - left.length - right.length).fill('0')
  return Uint8Array.from(
    [...left, ...zeros, ...right].flatMap((group) => {
      const value = Number.parseInt(group, 16)
      return [value >> 8, value & 0xff]
    }),
  )
}

function nameOf(commonName: string): Uint8Array {
  const value = tagged(0x0c, Buffer.from(commonName, 'utf8'))
  return sequence(tagged(0x31, sequence(objectIdentifier('2.5.4.3'), value)))
}

/** UTCTime until 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
function timeOf(date: Date): Uint8Array {
  const digits = date.toISOString().replace(/\.\d+Z$|[-:T]/g, '')
  const isNear = date.getUTCFullYear() < 2050
  return tagged(isNear ? 0x17 : 0x18, Buffer.from(`${isNear ? digits.slice(2) : digits}Z`, 'latin1'))
}

function daysFromNow(days: number): Date {
  return new Date(Date.now() + days * 86_400_000)
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function objectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const part of rest) {
    const septets = [part & 0x7f]
    for (let left = part >> 7; left > 0; left >>= 7) septets.unshift((left & 0x7f) | 0x80)
    bytes.push(...septets)
  }
  return tagged(0x06, Uint8Array.from(bytes))
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return tagged(0x30, Buffer.concat(parts))
}

function integer(bytes: Uint8Array): Buffer {
  return tagged(0x02, bytes)
}

function bitString(bytes: Uint8Array): Buffer {
  return tagged(0x03, Buffer.concat([Uint8Array.of(0), bytes]))
}

/** Tag, length, value; lengths in the shortest form, as DER demands. */
function tagged(tag: number, value: Uint8Array): Buffer {
  const { length } = value
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Uint8Array.from(head), value])
}

const TRUE = tagged(0x01, Uint8Array.of(0xff))
const ECDSA_WITH_SHA256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'))
