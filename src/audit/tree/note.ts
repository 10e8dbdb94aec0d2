/**
 * Signed notes as C2SP writes them down (c2sp.org/signed-note): a text, an empty line, and one line for each
 * signature, `— <key name> base64(key id ‖ signature)`. Of the kinds of signature only Ed25519 (0x01) is known here;
 * lines of other keys and kinds are passed over, as the specification asks.
 *
 * Parsing is strict: what is accepted is exactly what formatting gives, so that no byte of a note can change unseen.
 */
import {
  createPrivateKey,
  createPublicKey,
  hash,
  type KeyObject,
  sign as signBytes,
  verify as verifyBytes,
} from 'node:crypto'

const ED25519 = 1
const PUBLIC_KEY_BYTES = 32
const SIGNATURE_BYTES = 64
const ID_BYTES = 4
/** Sixteen must be accepted. Cosignatures of later kinds take up to 5 kB each. */
export const SIGNATURES_MAX = 64
export const NOTE_LENGTH_MAX = 1024 * 1024
const DASH = '— '
/** Before the 32 bytes of a public key, and of a private one, in their DER forms (RFC 8410). */
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex')
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Public: who may have signed. */
export interface VerifierKey {
  readonly name: string
  /** Eight hex digits. */
  readonly id: string
  /** 32 bytes, RFC 8032. */
  readonly publicKey: Buffer
  readonly object: KeyObject
}

export interface NoteSigner {
  readonly key: VerifierKey
  readonly privateKey: KeyObject
}

export interface NoteSignature {
  readonly name: string
  readonly id: string
  /** Without the key id. */
  readonly bytes: Buffer
}

export interface SignedNote {
  /** Ends with a newline; this is what was signed. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** Of 32 raw bytes. Throws when `name` cannot be a key's name. */
export function verifierKey(name: string, publicKey: Uint8Array): VerifierKey {
  if (!isKeyName(name))
    throw new TypeError(`'${name}' cannot name a key: it is empty or has a space or a plus`)
  const raw = Buffer.from(publicKey)
  const object = createPublicKey({ key: Buffer.concat([SPKI_HEAD, raw]), format: 'der', type: 'spki' })
  return { name, id: keyId(name, raw), publicKey: raw, object }
}

/** `privateKey`: Ed25519. */
export function noteSigner(name: string, privateKey: KeyObject): NoteSigner {
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  return { key: verifierKey(name, spki.subarray(SPKI_HEAD.length)), privateKey }
}

/** The private key that RFC 8032 makes of 32 secret bytes. */
export function keyOfSeed(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' })
}

function keyId(name: string, publicKey: Buffer): string {
  const bytes = Buffer.concat([Buffer.from(`${name}\n`), Buffer.from([ED25519]), publicKey])
  return hash('sha256', bytes, 'hex').slice(0, 2 * ID_BYTES)
}

/** `name+id+base64(0x01 ‖ public key)`. */
export function formatVerifierKey({ name, id, publicKey }: VerifierKey): string {
  return `${name}+${id}+${Buffer.concat([Buffer.from([ED25519]), publicKey]).toString('base64')}`
}

/** The key, or one line saying why this is none. */
export function parseVerifierKey(text: string): VerifierKey | string {
  const [name = '', id = '', ...rest] = text.split('+')
  if (!isKeyName(name) || !/^[0-9a-f]{8}$/.test(id)) {
    return 'a verifier key is NAME+ID+KEY, ID being 8 hex digits'
  }
  // Base64 has pluses of its own.
  const bytes = exactBase64(rest.join('+'))
  if (bytes === undefined) return 'the last part of the verifier key is no base64'
  if (bytes[0] !== ED25519) return `keys of type ${bytes[0] ?? 'none'} are not known here; Ed25519 is 1`
  if (bytes.length !== 1 + PUBLIC_KEY_BYTES)
    return `an Ed25519 key has 32 bytes, this one ${bytes.length - 1}`
  const key = verifierKey(name, bytes.subarray(1))
  return key.id === id ? key : `the id of this verifier key should be ${key.id}: it was altered or cut`
}

/** Keys of a file, one a line; empty lines and those that begin with `#` are passed over. */
export function parseVerifierKeys(text: string): VerifierKey[] | string {
  const keys: VerifierKey[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    const key = parseVerifierKey(trimmed)
    if (typeof key === 'string') return `line ${index + 1}: ${key}`
    keys.push(key)
  }
  return keys.length === 0 ? 'there is no verifier key in it' : keys
}

/** `text` ends with a newline. */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  const lines = signers.map(({ key, privateKey }) => {
    const signature = signBytes(null, Buffer.from(text), privateKey)
    return signatureLine({ name: key.name, id: key.id, bytes: signature })
  })
  return `${text}\n${lines.join('')}`
}

export function signatureLine({ name, id, bytes }: NoteSignature): string {
  return `${DASH}${name} ${Buffer.concat([Buffer.from(id, 'hex'), bytes]).toString('base64')}\n`
}

/** The note, not yet verified, or one line saying why this is none. */
export function parseNote(note: string): SignedNote | string {
  if (note.length > NOTE_LENGTH_MAX) return `a note has at most ${NOTE_LENGTH_MAX} characters`
  if (hasControls(note)) return 'a note has no control characters and is valid UTF-8'
  const split = note.lastIndexOf('\n\n')
  if (split === -1) return 'a note has an empty line before its signatures'
  const lines = note.slice(split + 2).split('\n')
  if (lines.pop() !== '') return 'a note ends with a newline'
  if (lines.length === 0) return 'the note has no signature'
  if (lines.length > SIGNATURES_MAX) return `a note has at most ${SIGNATURES_MAX} signatures`
  if (new Set(lines).size < lines.length) return 'a line behind the text stands there twice'
  const signatures: NoteSignature[] = []
  for (const line of lines) {
    const signature = parseSignatureLine(line)
    if (signature === undefined) return 'a line behind the text is no signature'
    signatures.push(signature)
  }
  return { text: note.slice(0, split + 1), signatures }
}

function parseSignatureLine(line: string): NoteSignature | undefined {
  if (!line.startsWith(DASH)) return undefined
  const [name = '', encoded = '', ...rest] = line.slice(DASH.length).split(' ')
  const bytes = exactBase64(encoded)
  if (!isKeyName(name) || rest.length > 0 || bytes === undefined || bytes.length <= ID_BYTES) return undefined
  return { name, id: bytes.toString('hex', 0, ID_BYTES), bytes: bytes.subarray(ID_BYTES) }
}

/**
 * Those of `keys` that signed the note: at least one. One line saying why the note is to be rejected when none
 * did, or when a line that names one of them does not verify.
 */
export function verifyNote(note: SignedNote, keys: readonly VerifierKey[]): VerifierKey[] | string {
  const signedBy: VerifierKey[] = []
  for (const { name, id, bytes } of note.signatures) {
    const key = keys.find((candidate) => candidate.name === name && candidate.id === id)
    if (key === undefined) continue
    if (!verifySignature(key, note.text, bytes)) return `the signature of ${name}+${id} does not fit the text`
    signedBy.push(key)
  }
  if (signedBy.length > 0) return signedBy
  const names = note.signatures.map(({ name, id }) => `${name}+${id}`)
  return `not signed by a key that is trusted here, but by ${names.join(', ')}`
}

export function verifySignature(key: VerifierKey, text: string, signature: Uint8Array): boolean {
  return signature.length === SIGNATURE_BYTES && verifyBytes(null, Buffer.from(text), key.object, signature)
}

/** Undefined unless it is exactly what encoding gives. */
export function exactBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}

/** A file's text; undefined when it is no UTF-8, or more than a note may be. */
export function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.length > 4 * NOTE_LENGTH_MAX) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Half a surrogate pair is no UTF-8 either. */
function hasControls(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  return /[\u0000-\u0009\u000b-\u001f]/.test(text) || Buffer.from(text).toString() !== text
}

function isKeyName(name: string): boolean {
  return name !== '' && !/[\s+]/u.test(name)
}
