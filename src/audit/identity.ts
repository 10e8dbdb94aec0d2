/**
 * Whose log this is, and the key that signs for it. The origin names the log for ever: a node drawn at the first start
 * and an epoch, which is a new one after every loss that somebody acknowledged. Key files are readable by their owner
 * only; nothing here is ever printed.
 */
import { createPrivateKey, generateKeyPairSync, hash, type KeyObject, randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import {
  CHECKPOINT_FILE,
  KEY_LIST_FILE,
  listSegments,
  NEXT_KEY_FILE,
  ORIGIN_FILE,
  SIGNING_KEY_FILE,
} from './paths.ts'
import type { KeyNote } from './records/notes.ts'
import { readIfThere } from './tile-files.ts'
import { signCheckpoint } from './tree/checkpoint.ts'
import { emptyRoot } from './tree/hash.ts'
import {
  formatVerifierKey,
  type NoteSigner,
  noteSigner,
  parseVerifierKeys,
  signNote,
  type VerifierKey,
} from './tree/note.ts'

export interface Identity {
  /** `modelgate/<node>/<epoch>`; also the name of its keys. */
  readonly origin: string
  readonly originHash: Buffer
  readonly signer: NoteSigner
  /** Those that may have signed a checkpoint of this log; the last is the signer's. */
  readonly trusted: readonly VerifierKey[]
}

export function hashOfOrigin(origin: string): Buffer {
  return hash('sha256', origin, 'buffer')
}

/** Undefined when the directory has none yet. */
export function readOriginFile(dataDir: string): string | undefined {
  const text = readIfThere(join(dataDir, ORIGIN_FILE))?.toString()
  if (text === undefined) return undefined
  const origin = text.trimEnd()
  if (epochOf(origin) === undefined)
    throw new Error(`${ORIGIN_FILE} should hold one line like modelgate/NODE/EPOCH`)
  return origin
}

/** Undefined for what is no origin. */
export function epochOf(origin: string): number | undefined {
  const [, epoch] = /^modelgate\/[0-9a-f]{16}\/([1-9]\d{0,8})$/.exec(origin) ?? []
  return epoch === undefined ? undefined : Number(epoch)
}

/** Opens it, or makes it for a directory that has none. Throws, naming the file, when it is not what it should be. */
export function openIdentity(dataDir: string): Identity {
  const origin = readOriginFile(dataDir)
  if (origin === undefined && listSegments(dataDir).length > 0)
    throw new Error(`${ORIGIN_FILE} is missing, but there are segments: this is not the whole log`)
  if (origin === undefined) return makeIdentity(dataDir, `modelgate/${randomBytes(8).toString('hex')}/1`)
  const signer = readSigner(join(dataDir, SIGNING_KEY_FILE), origin)
  const trusted = readKeyList(dataDir)
  if (!trusted.some(({ id }) => id === signer.key.id))
    throw new Error(`${KEY_LIST_FILE} does not list the key in ${SIGNING_KEY_FILE}`)
  return { origin, originHash: hashOfOrigin(origin), signer, trusted }
}

/** A new log, with a checkpoint of nothing: the origin is written last, so that dying before leaves a directory without one. */
export function makeIdentity(
  dataDir: string,
  origin: string,
  privateKey = generateKeyPairSync('ed25519').privateKey,
): Identity {
  const signer = noteSigner(origin, privateKey)
  writeSecret(join(dataDir, SIGNING_KEY_FILE), pemOf(privateKey))
  writeSecret(join(dataDir, KEY_LIST_FILE), `${formatVerifierKey(signer.key)}\n`)
  const first = signCheckpoint({ origin, size: 0, root: emptyRoot() }, [signer])
  writeSecret(join(dataDir, CHECKPOINT_FILE), first)
  writeSecret(join(dataDir, ORIGIN_FILE), `${origin}\n`)
  return { origin, originHash: hashOfOrigin(origin), signer, trusted: [signer.key] }
}

/** All keys that ever signed for the log in this directory, oldest first. */
export function readKeyList(dataDir: string): readonly VerifierKey[] {
  const keys = parseVerifierKeys(readFileSync(join(dataDir, KEY_LIST_FILE), 'utf8'))
  if (typeof keys === 'string') throw new Error(`${KEY_LIST_FILE}: ${keys}`)
  return keys
}

/** Asks for another key: the gateway takes it at its next checkpoint, or when it starts. Tells the new one. */
export function askForRotation(dataDir: string, origin: string): VerifierKey {
  const path = join(dataDir, NEXT_KEY_FILE)
  if (!existsSync(path)) writeSecret(path, pemOf(generateKeyPairSync('ed25519').privateKey))
  return readSigner(path, origin).key
}

/** The signer that was asked for; undefined when none was. */
export function nextSigner(dataDir: string, origin: string): NoteSigner | undefined {
  const path = join(dataDir, NEXT_KEY_FILE)
  return existsSync(path) ? readSigner(path, origin) : undefined
}

/** Before its record is written: whoever checks must know the key, whenever this process dies. */
export function announceKey(dataDir: string, key: VerifierKey): void {
  const known = readKeyList(dataDir)
  if (known.some(({ id }) => id === key.id)) return
  const lines = [...known, key].map((each) => `${formatVerifierKey(each)}\n`)
  writeSecret(join(dataDir, KEY_LIST_FILE), lines.join(''))
}

/** After its record is on the disk. */
export function adoptNextKey(dataDir: string): void {
  renameSync(join(dataDir, NEXT_KEY_FILE), join(dataDir, SIGNING_KEY_FILE))
  syncFolder(dirname(join(dataDir, SIGNING_KEY_FILE)))
}

/** The record by which `to` takes over from `from` (none: the first of an epoch) at sequence `sequence`. */
export function keyNote(
  at: number,
  { from, to, sequence }: { from: NoteSigner | null; to: NoteSigner; sequence: number },
): KeyNote {
  const origin = to.key.name
  const names = { from: from === null ? '' : formatVerifierKey(from.key), to: formatVerifierKey(to.key) }
  const text = keyText(origin, names, sequence)
  return { at, origin, ...names, note: signNote(text, from === null ? [to] : [from, to]) }
}

/** What both keys sign. */
export function keyText(
  origin: string,
  { from, to }: { from: string; to: string },
  sequence: number,
): string {
  return `modelgate key\n${origin}\n${from === '' ? '-' : from}\n${to}\n${sequence}\n`
}

function readSigner(path: string, origin: string): NoteSigner {
  const pem = readIfThere(path)?.toString()
  if (pem === undefined) throw new Error(`${path} is missing; it holds the key that signs the log`)
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    throw new Error(`${path} should hold a private key in PEM form`)
  }
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`${path} should hold an Ed25519 key`)
  chmodSync(path, 0o600)
  return noteSigner(origin, key)
}

function pemOf(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString()
}

function writeSecret(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.draft`
  writeFileSync(draft, text, { mode: 0o600, flush: true })
  renameSync(draft, path)
  syncFolder(dirname(path))
}

function syncFolder(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
